"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const matrix = document.getElementById("matrix");
  const gallery = document.getElementById("gallery");

  // names of files and classes are only ever set as text
  const make = (tag, text, attributes = {}) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };

  const picture = (place, name) => {
    if (place === null || place === undefined) return make("span", "no picture", {class: "soft"});
    const image = make("img", undefined, {alt: name, loading: "lazy"});
    image.addEventListener("load", () => image.classList.toggle("tiny", image.naturalWidth <= 48));
    image.src = "data:image/jpeg;base64," + data.thumbnails[place];
    return image;
  };

  const card = (place, name, ...lines) => {
    const item = make("li");
    item.append(picture(place, name), make("div", name), ...lines.map((line) => make("div", line, {class: "soft"})));
    return item;
  };

  const nearest = (item, name) => {
    const button = make("button", "nearest training images", {type: "button", class: "link"});
    button.addEventListener("click", () => {
      const old = document.getElementById("nearest");
      if (old) old.remove();
      const box = make("div", undefined, {id: "nearest"});
      box.append(make("h4", `Nearest training images of ${name}`));
      const list = make("ul", undefined, {class: "pictures"});
      for (const [other, label, distance, place] of data.neighbours[name]) {
        list.append(card(place, other, label, `distance ${distance}`));
      }
      box.append(list);
      gallery.append(box);
      box.scrollIntoView({block: "nearest"});
    });
    item.append(button);
  };

  const show = (key) => {
    const cell = data.cells[key];
    if (!cell) return;
    const [row, column] = key.split(",").map((number) => data.classes[Number(number)]);
    for (const button of matrix.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.cell === key));
    }
    gallery.hidden = false;
    gallery.replaceChildren();
    const what = row === column ? `${row}, recognised` : `${row} taken for ${column}`;
    const count = cell.count === 1 ? "1 image" : `${cell.count} images`;
    // only this is read aloud, and the keyboard lands on it
    gallery.append(make("h3", `${what}: ${count}`, {tabindex: "-1", "aria-live": "polite"}));
    const list = make("ul", undefined, {class: "pictures"});
    for (const [name, score, place] of cell.images) {
      const item = card(place, name, `true: ${row}`, `predicted: ${column}`, `score ${score}`);
      if (row !== column && data.neighbours[name]) nearest(item, name);
      list.append(item);
    }
    gallery.append(list);
    const rest = cell.count - cell.images.length;
    if (rest > 0) gallery.append(make("p", `and ${rest} more`));
  };

  // the whole matrix is one stop of the tab key: the cell that was used last
  let came = null;
  const enter = (button) => {
    for (const other of matrix.querySelectorAll("button[tabindex='0']")) other.tabIndex = -1;
    button.tabIndex = 0;
  };
  for (const button of matrix.querySelectorAll("button")) button.tabIndex = -1;
  const first = matrix.querySelector("button");
  if (first) enter(first);

  for (const button of document.querySelectorAll("button[data-cell]")) {
    button.addEventListener("click", (event) => {
      show(button.dataset.cell);
      came = button;
      const inside = matrix.contains(button);
      if (inside) enter(button);
      gallery.scrollIntoView({block: inside ? "nearest" : "start"});
      // a key, not the mouse
      if (event.detail === 0) gallery.querySelector("h3").focus({preventScroll: true});
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && came && gallery.contains(document.activeElement)) came.focus();
  });

  const moves = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]};
  matrix.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    if (!move || !event.target.dataset.cell) return;
    event.preventDefault();
    let [row, column] = event.target.dataset.cell.split(",").map(Number);
    // on to the next cell that holds images
    for (;;) {
      row += move[0];
      column += move[1];
      if (row < 0 || column < 0 || row >= data.classes.length || column >= data.classes.length) return;
      const next = matrix.querySelector(`button[data-cell="${row},${column}"]`);
      if (next) { enter(next); next.focus(); return; }
    }
  });
})();
