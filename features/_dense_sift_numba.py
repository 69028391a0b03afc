"""Dense SIFT as compiled loops: gradient planes, pooled rows, descriptors, row by row.

Nothing of the size of the image's descriptors is kept: plane rows and pooled rows live in ring
buffers that stay in the processor's cache, and descriptors are written into the caller's array, a
range of frame rows at a time. The innermost steps, written as vector code, are those of `features._frames`.

Values are float32, and every operation is rounded as written, so that the bytes are the same on any
processor. That is why nothing here uses `fastmath`: it lets the compiler choose an order of sums, and
numba's compiler chooses otherwise in the process that compiles than in code loaded from its cache. Sums
are halves added to each other instead. Buffers are flat and indices
unsigned where it counts, since numba's test for negative indices keeps loops from becoming vector code.
"""

import numpy as np
from numba import njit

from features import _frames
from features._frames import copy_pixel, frame_energy, pair_energies, write_frame

EPSILON = np.float32(_frames.EPSILON)  # VLFeat's guard, of angles too
TINY = np.float32(_frames.TINY)
CLAMP = np.float32(_frames.CLAMP)

ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)


@njit(nogil=True, cache=True, error_model="numpy")
def _orientation(gx, gy):
    """VLFeat's cubic approximation of the gradient angle, in units of orientation bins, 0 <= n < 8."""
    a = abs(gy) + EPSILON
    right = gx >= ZERO
    q = (gx - a) / (gx + a) if right else (gx + a) / (a - gx)
    base = np.float32(0.78539816) if right else np.float32(2.3561945)
    theta = base + (np.float32(0.1821) * q * q - np.float32(0.9675)) * q
    theta = -theta if gy < ZERO else theta
    theta = theta + np.float32(6.2831855) if theta < ZERO else theta
    return theta * np.float32(1.2732395)


@njit(nogil=True, cache=True, error_model="numpy")
def _plane_row(image, y, modulus, orientation, planes, start):
    """Row y of the eight orientation planes, interleaved: planes[start + x * 8 + t]."""
    height, width = image.shape
    above, row, below = image[max(y - 1, 0)], image[y], image[min(y + 1, height - 1)]
    for x in range(np.uint64(width - 2)):
        modulus[x + np.uint64(1)] = (row[x + np.uint64(2)] - row[x]) * HALF
    modulus[0], modulus[width - 1] = row[1] - row[0], row[width - 1] - row[width - 2]
    scale = HALF if 0 < y < height - 1 else ONE
    for x in range(np.uint64(width)):
        gx, gy = modulus[x], (below[x] - above[x]) * scale
        squared = gx * gx + gy * gy
        modulus[x] = np.sqrt(squared) if squared >= TINY else ZERO
        orientation[x] = _orientation(gx, gy)
    to = np.uint64(start)
    for x in range(np.uint64(width)):
        m, n = modulus[x], orientation[x]
        for t in range(np.uint64(8)):
            planes[to + t] = m * max(ZERO, ONE - abs(n - np.float32(t)))
        planes[to] += m * max(ZERO, n - np.float32(7))
        to += np.uint64(8)


@njit(nogil=True, cache=True, error_model="numpy")
def _pool_rows(planes, ring, centre, taps, last_row, pooled, reach_x, width8):
    """Weighted sum of the plane rows around `centre` into the middle of `pooled`, edges repeated.

    Rows beyond the image repeat its first or last row; `pooled` gets `reach_x` more pixels on each
    side, copies of its first and last one.
    """
    start = reach_x * 8
    places = np.empty(taps.shape[0], np.uint64)
    for o in range(taps.shape[0]):
        row = min(max(centre + o - taps.shape[0] // 2, 0), last_row)
        places[o] = (row % ring) * width8
    _weighted_sum(planes, places, taps, width8, pooled, np.uint64(start))
    for i in range(start):
        pooled[i] = pooled[start + i % 8]
        pooled[start + width8 + i] = pooled[start + width8 - 8 + i % 8]


@njit(nogil=True, cache=True, error_model="numpy")
def pooled_by_running_sums(image, bin_y, bin_x):
    """All pooled rows of an image, float32 (H * W * 8), by VLFeat's running sums and with its rounding.

    Time does not depend on the bin size, so large bins are pooled this way. Running sums carry the rounding
    of strong gradients into flat areas beside them, and normalisation then makes it visible: VLFeat's
    descriptors of such frames are off by up to 19 of 255 at bin size 12. Whoever compares with VLFeat
    wants the same, so nothing may be reordered here.
    """
    height, width = image.shape
    width8 = width * 8
    planes, pooled = np.zeros(height * width8, np.float32), np.empty(height * width8, np.float32)
    for y in range(height):
        _exact_plane_row(image, y, planes, y * width8)
    _triangle_by_running_sums(
        planes, 0, height, width8, bin_y, pooled, np.empty((height + bin_y) * width8, np.float32)
    )
    buffer = np.empty((width + bin_x) * 8, np.float32)
    for y in range(height):
        _triangle_by_running_sums(pooled, y * width8, width, 8, bin_x, planes, buffer)
    area = np.float32(bin_y * bin_x)  # taps here sum to 1, elsewhere the middle one is 1 along each axis
    for i in range(height * width8):
        planes[i] *= area
    return planes


@njit(nogil=True, cache=True, error_model="numpy")
def _exact_plane_row(image, y, planes, start):
    """`_plane_row` with VLFeat's own square root and order of rounding, into planes that are zero before."""
    height, width = image.shape
    for x in range(width):
        left, right, up, down = max(x - 1, 0), min(x + 1, width - 1), max(y - 1, 0), min(y + 1, height - 1)
        gx = (image[y, right] - image[y, left]) * (HALF if right - left == 2 else ONE)
        gy = (image[down, x] - image[up, x]) * (HALF if down - up == 2 else ONE)
        a = abs(gy) + EPSILON
        right_half = gx >= ZERO
        q = (gx - a) / (gx + a) if right_half else (gx + a) / (a - gx)
        theta = np.float32(0.78539816) if right_half else np.float32(2.3561945)
        theta += (np.float32(0.1821) * q * q - np.float32(0.9675)) * q
        theta = -theta if gy < ZERO else theta
        theta = theta + np.float32(6.2831855) if theta < ZERO else theta
        n = np.float32(theta * (8 / (2 * np.pi)))
        lower = int(n)
        share, modulus = n - np.float32(lower), _vlfeat_sqrt(gx * gx + gy * gy)
        planes[start + x * 8 + lower % 8] = (ONE - share) * modulus
        planes[start + x * 8 + (lower + 1) % 8] = share * modulus


@njit(nogil=True, cache=True, error_model="numpy")
def _vlfeat_sqrt(value):
    """x / sqrt(x), with 1 / sqrt(x) from a shifted exponent and two Newton steps."""
    if value < TINY:
        return ZERO
    half = HALF * value
    guess = np.int32(np.int32(0x5F3759DF) - (np.float32(value).view(np.int32) >> np.int32(1))).view(
        np.float32
    )
    guess = guess * (np.float32(1.5) - half * guess * guess)
    guess = guess * (np.float32(1.5) - half * guess * guess)
    return value * guess


@njit(nogil=True, cache=True, error_model="numpy")
def _triangle_by_running_sums(source, start, count, lanes, size, out, buffer):
    """Filter `count` vectors of `lanes` values, edges repeated, as VLFeat's `vl_imconvcoltri_f` does.

    Sums are run backward and differences taken, then forward and differences taken; each pair is a box.
    `buffer` holds `count + size` vectors, the first `size` of them before the image.
    """
    end = (size + count - 1) * lanes
    for i in range(lanes):
        buffer[end + i] = source[start + (count - 1) * lanes + i]
    for k in range(count - 2, -size - 1, -1):
        to, at = (k + size) * lanes, start + max(k, 0) * lanes
        for i in range(lanes):
            buffer[to + i] = buffer[to + lanes + i] + source[at + i]
    for k in range(-size, count - size):
        to = (k + size) * lanes
        for i in range(lanes):
            buffer[to + i] -= buffer[to + size * lanes + i]
    for k in range(count - size, count):
        to, beyond = (k + size) * lanes, np.float32(count - size - k)
        for i in range(lanes):
            buffer[to + i] -= buffer[end + i] * beyond
    for k in range(1 - size, count):
        to = (k + size) * lanes
        for i in range(lanes):
            buffer[to + i] += buffer[to - lanes + i]
    scale = np.float32(1.0 / (size * size))
    for k in range(count):
        for i in range(lanes):
            out[start + k * lanes + i] = scale * (buffer[(k + size) * lanes + i] - buffer[k * lanes + i])


@njit(nogil=True, cache=True, error_model="numpy")
def _pool_columns(padded, taps, width8, out):
    """out[i] = weighted sum over neighbouring pixels of a padded row."""
    places = np.empty(taps.shape[0], np.uint64)
    for o in range(taps.shape[0]):
        places[o] = o * 8
    _weighted_sum(padded, places, taps, width8, out, np.uint64(0))


@njit(nogil=True, cache=True, error_model="numpy")
def _weighted_sum(values, places, taps, count, out, to):
    """out[to + i] = sum of taps[o] * values[places[o] + i], added in the order of taps, five at a time."""
    done = 1
    if taps.shape[0] >= 5:
        done = 5
        a, b, c, d, e = places[0], places[1], places[2], places[3], places[4]
        ta, tb, tc, td, te = taps[0], taps[1], taps[2], taps[3], taps[4]
        for i in range(np.uint64(count)):
            three = (ta * values[a + i] + tb * values[b + i]) + tc * values[c + i]
            out[to + i] = (three + td * values[d + i]) + te * values[e + i]
    else:
        for i in range(np.uint64(count)):
            out[to + i] = taps[0] * values[places[0] + i]
    for o in range(done, taps.shape[0]):
        tap, place = taps[o], places[o]
        for i in range(np.uint64(count)):
            out[to + i] += tap * values[place + i]


@njit(nogil=True, cache=True, error_model="numpy")
def _store_by_phase(pooled, width, bin_x, per_phase, bins, start, energy, energy_start):
    """Copy a pooled row into phase order, (x % bin_x) first: a frame's four bins then lie side by side.

    Also keeps each pixel's squared length over the eight orientations: a frame's squared norm is a
    weighted sum of 16 of these.
    """
    for phase in range(bin_x):
        to = np.uint64(start + phase * per_phase * 8)
        for x in range(phase, width, bin_x):
            copy_pixel(pooled, np.uint64(x * 8), bins, to)
            to += np.uint64(8)
    for x in range(0, width - 1, 2):
        pair_energies(pooled, np.uint64(x * 8), energy, np.uint64(energy_start + x))
    if width % 2:
        energy[energy_start + width - 1] = _sum_of_squares(pooled, np.uint64((width - 1) * 8))


@njit(nogil=True, cache=True, error_model="numpy")
def _sum_of_squares(values, start):
    """What `pair_energies` makes of one pixel, in the same order of sums."""
    one, two, three, four = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    even = _two_squares(values, start, four) + _two_squares(values, start + two, four)
    odd = _two_squares(values, start + one, four) + _two_squares(values, start + three, four)
    return even + odd


@njit(nogil=True, cache=True, error_model="numpy")
def _two_squares(values, place, distance):
    return values[place] * values[place] + values[place + distance] * values[place + distance]


@njit(nogil=True, cache=True, error_model="numpy")
def flat_window_rows(image, first, last, n_x, step_y, step_x, taps_y, taps_x, weights, all_pooled, out):
    """Descriptors of frame rows first..last-1 with a flat window, into the flat array `out`.

    image : float32 (H, W). taps_y, taps_x : float32, the triangles, 2 * bin - 1 long. weights :
    float32 (4, 4), the window's mean over bin (by, bx). all_pooled : from `pooled_by_running_sums`, or empty:
    then rows are pooled with the taps as they are needed. out : uint8 or float32, rows * n_x * 128.
    """
    height, width = image.shape
    bin_y, bin_x = (taps_y.shape[0] + 1) // 2, (taps_x.shape[0] + 1) // 2
    width8, per_phase = width * 8, width // bin_x + 1
    plane_ring, bin_ring, bin_size = 2 * bin_y, 3 * bin_y + 1, per_phase * bin_x * 8
    planes = np.empty(plane_ring * width8, np.float32)
    bins = np.empty(bin_ring * bin_size, np.float32)
    energy = np.empty(bin_ring * width, np.float32)
    padded = np.empty(width8 + 16 * bin_x, np.float32)
    pooled = np.empty(width8, np.float32)
    modulus, orientation = np.empty(width, np.float32), np.empty(width, np.float32)
    inverse_norms = np.empty(n_x, np.float32)
    scales = np.repeat(weights.ravel(), 8)
    next_plane = max(first * step_y - bin_y + 1, 0)
    next_bin = first * step_y
    to = np.uint64(0)
    for i in range(first, last):
        top = i * step_y
        for y in range(max(next_bin, top), top + 3 * bin_y + 1):
            if not _is_bin_row(y, top, step_y, bin_y):
                continue
            if all_pooled.shape[0] > 0:
                for i in range(width8):
                    pooled[i] = all_pooled[y * width8 + i]
            else:
                for r in range(max(next_plane, y - bin_y + 1), min(y + bin_y, height)):
                    _plane_row(image, r, modulus, orientation, planes, (r % plane_ring) * width8)
                next_plane = max(next_plane, min(y + bin_y, height))
                _pool_rows(planes, plane_ring, y, taps_y, height - 1, padded, bin_x - 1, width8)
                _pool_columns(padded, taps_x, width8, pooled)
            slot = y % bin_ring
            _store_by_phase(pooled, width, bin_x, per_phase, bins, slot * bin_size, energy, slot * width)
        next_bin = top + 3 * bin_y + 1
        _flat_norms(energy, top, bin_y, bin_ring, width, weights, step_x, bin_x, inverse_norms)
        slot0 = np.uint64((top % bin_ring) * bin_size)
        slot1 = np.uint64(((top + bin_y) % bin_ring) * bin_size)
        slot2 = np.uint64(((top + 2 * bin_y) % bin_ring) * bin_size)
        slot3 = np.uint64(((top + 3 * bin_y) % bin_ring) * bin_size)
        for j in range(n_x):
            x = j * step_x
            at = np.uint64(((x % bin_x) * per_phase + x // bin_x) * 8)
            write_frame(
                bins, slot0 + at, slot1 + at, slot2 + at, slot3 + at, scales, inverse_norms[j], out, to
            )
            to += np.uint64(128)


@njit(nogil=True, cache=True)
def _is_bin_row(y, top, step_y, bin_y):
    """Whether row y carries bins of the frame row at `top` or of a later one that reaches it."""
    for by in range(4):
        above = y - by * bin_y - top
        if above >= 0 and above % step_y == 0:
            return True
    return False


@njit(nogil=True, cache=True, error_model="numpy")
def _flat_norms(energy, top, bin_y, bin_ring, width, weights, step_x, bin_x, inverse_norms):
    """1 / (norm + epsilon) of each frame of a row, before clamping, from the pooled pixels' energies."""
    n_x = inverse_norms.shape[0]
    inverse_norms[:] = ZERO
    for by in range(4):
        start = ((top + by * bin_y) % bin_ring) * width
        for bx in range(4):
            weight = weights[by, bx] * weights[by, bx]
            base = np.uint64(start + bx * bin_x)
            for j in range(np.uint64(n_x)):
                inverse_norms[j] += weight * energy[base + j * np.uint64(step_x)]
    for j in range(n_x):
        squared = inverse_norms[j]
        inverse_norms[j] = ONE / ((np.sqrt(squared) if squared >= TINY else ZERO) + EPSILON)


@njit(nogil=True, cache=True, error_model="numpy")
def gaussian_window_rows(image, first, last, n_x, step_y, step_x, taps_y, taps_x, out):
    """Descriptors of frame rows first..last-1 with a Gaussian window, into the flat array `out`.

    taps_y, taps_x : float32 (4, 2 * bin - 1), the triangle times the window, one row a bin index.
    The rest as in `flat_window_rows`. Every bin index has its own filter, so pooled rows cannot be
    shared between frames above each other; each frame row pools its own.
    """
    height, width = image.shape
    bin_y, bin_x = (taps_y.shape[1] + 1) // 2, (taps_x.shape[1] + 1) // 2
    width8, plane_ring = width * 8, 5 * bin_y - 1
    planes = np.empty(plane_ring * width8, np.float32)
    padded = np.empty(width8 + 16 * bin_x, np.float32)
    bins = np.empty(4 * n_x * 32, np.float32)
    pooled = np.empty(width8, np.float32)
    modulus, orientation = np.empty(width, np.float32), np.empty(width, np.float32)
    scales = np.ones(128, np.float32)
    next_plane = max(first * step_y - bin_y + 1, 0)
    to = np.uint64(0)
    for i in range(first, last):
        top = i * step_y
        stop = min(top + 4 * bin_y, height)
        for r in range(max(next_plane, top - bin_y + 1), stop):
            _plane_row(image, r, modulus, orientation, planes, (r % plane_ring) * width8)
        next_plane = max(next_plane, stop)
        for by in range(4):
            y = top + by * bin_y
            _pool_rows(planes, plane_ring, y, taps_y[by], height - 1, padded, bin_x - 1, width8)
            _pool_frame_bins(padded, taps_x, n_x, step_x, bin_x, bins, by * n_x * 32, pooled)
        row = np.uint64(n_x * 32)
        for j in range(n_x):
            at = np.uint64(j * 32)
            squared = frame_energy(bins, at, at + row, at + row + row, at + row + row + row)
            inverse_norm = ONE / ((np.sqrt(squared) if squared >= TINY else ZERO) + EPSILON)
            write_frame(
                bins, at, at + row, at + row + row, at + row + row + row, scales, inverse_norm, out, to
            )
            to += np.uint64(128)


@njit(nogil=True, cache=True, error_model="numpy")
def _pool_frame_bins(padded, taps_x, n_x, step_x, bin_x, bins, start, pooled):
    """The four bins along x of every frame of a row: bins[start + j * 32 + bx * 8 + t]."""
    span8 = ((n_x - 1) * step_x + 1) * 8
    for bx in range(4):
        _pool_columns(padded[bx * bin_x * 8 :], taps_x[bx], span8, pooled)
        to = np.uint64(start + bx * 8)
        for j in range(np.uint64(n_x)):
            copy_pixel(pooled, j * np.uint64(step_x * 8), bins, to)
            to += np.uint64(32)
