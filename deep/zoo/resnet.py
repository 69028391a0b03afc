"""torchvision's ResNet18, as R1 changed it and unchanged (reference specification 3.2, 3.7)."""

from __future__ import annotations

from torch import Tensor, nn

from deep.zoo._dropout import Dropout
from deep.zoo._network import Network


class ResNet18(nn.Module):
    """R1's wrapper: the network is its only child, which makes the last row of R1's table ``ResNet-69``."""

    def __init__(self, resnet: nn.Module):
        super().__init__()
        self.resnet = resnet

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, H, W) to logits (n, num_classes)."""
        return self.resnet(x)


def resnet18(
    *, num_classes: int, input_size: tuple[int, int, int], padding: int, dropout: float | None
) -> ResNet18:
    """ResNet18 for small images: first convolution 3x3 at stride 1, no first pool.

    R1 made kernel and stride smaller but left the padding at 3, so a 32x32 image has 36x36 maps; its table
    shows them. ``padding=1`` gives 32x32 maps, the same parameters and a quarter less work.
    """
    resnet = _torchvision_resnet18(num_classes, dropout)
    resnet.conv1 = nn.Conv2d(input_size[0], 64, 3, stride=1, padding=padding, bias=False)
    resnet.maxpool = nn.Identity()
    return ResNet18(resnet)


def resnet18_plain(*, num_classes: int, input_size: tuple[int, int, int], dropout: float | None) -> nn.Module:
    """torchvision's network as it is, but for the number of outputs (and of input channels, if not 3)."""
    resnet = _torchvision_resnet18(num_classes, dropout)
    if input_size[0] != 3:
        resnet.conv1 = nn.Conv2d(input_size[0], 64, 7, stride=2, padding=3, bias=False)
    return resnet


def _torchvision_resnet18(num_classes: int, dropout: float | None):
    # Imported here: every other network can be built without torchvision.
    from deep._torchvision import models

    resnet = models.resnet18(weights=None, num_classes=num_classes)
    if dropout is not None:
        # Behind the pool rather than in front of `fc`, so that no weight changes its name.
        resnet.avgpool = nn.Sequential(resnet.avgpool, Dropout(dropout))
    return resnet


NETWORKS = [
    Network(
        name="resnet18",
        place="R1 3.2",
        input_size=(3, 32, 32),
        build=resnet18,
        options={"dropout": None, "padding": 3},
    ),
    Network(name="resnet18_plain", place="R1 3.7", input_size=(3, 32, 32), build=resnet18_plain),
]
