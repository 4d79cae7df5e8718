"""Writes small residual networks with torchvision's layers and names, and what they compute.

    /usr/bin/python3 test/development/residual_networks.py test/data/residual

Needs Debian's python3-torch. Layers are those of torchvision/models/resnet.py; two stages instead of four keep them small.
Statistics are moved away from 0 and 1, so that every one of them matters.
"""

import json
import sys
from pathlib import Path

import numpy
import torch
from torch import nn


def conv(a, b, kernel, stride=1, groups=1):
    return nn.Conv2d(a, b, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)


class Block(nn.Module):
    def __init__(self, a, planes, stride, basic, groups, base_width):
        super().__init__()
        hidden = planes if basic else int(planes * (base_width / 64.0)) * groups
        out = planes if basic else 4 * planes
        if basic:
            layers = [conv(a, hidden, 3, stride), conv(hidden, out, 3)]
        else:
            layers = [conv(a, hidden, 1), conv(hidden, hidden, 3, stride, groups), conv(hidden, out, 1)]
        self.depth = len(layers)
        for i, layer in enumerate(layers, 1):
            setattr(self, f"conv{i}", layer)
            setattr(self, f"bn{i}", nn.BatchNorm2d(layer.out_channels))
        self.downsample = None
        if stride != 1 or a != out:
            self.downsample = nn.Sequential(conv(a, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, x):
        y = x
        for i in range(1, self.depth + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            if i < self.depth:
                y = torch.relu(y)
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, blocks, basic=False, groups=1, width_per_group=64, stem=8, classes=5):
        super().__init__()
        self.conv1 = nn.Conv2d(3, stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.stages = len(blocks)
        a = stem
        for i, n in enumerate(blocks):
            planes = stem * 2**i
            stage = []
            for j in range(n):
                stage.append(Block(a, planes, 2 if i > 0 and j == 0 else 1, basic, groups, width_per_group))
                a = planes if basic else 4 * planes
            setattr(self, f"layer{i + 1}", nn.Sequential(*stage))
        self.fc = nn.Linear(a, classes)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, stride=2, padding=1)
        for i in range(1, self.stages + 1):
            x = getattr(self, f"layer{i}")(x)
        return self.fc(x.mean((2, 3))), x


folder = Path(sys.argv[1])
for name, how in {
    "basic": dict(basic=True),
    "wide": dict(width_per_group=128),
    "groups": dict(groups=4, width_per_group=32),
}.items():
    torch.manual_seed(1)
    model = ResNet([2, 1], **how).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.2, 0.2)
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    x = torch.randn(2, 3, 32, 48)
    with torch.no_grad():
        logits, features = model(x)
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), target / "model.pth")
    for what, values in {"input": x, "logits": logits, "features": features}.items():
        numpy.save(target / f"{what}.npy", values.numpy())
    parameters = sum(p.numel() for p in model.parameters())
    (target / "meta.json").write_text(json.dumps({"parameters": parameters, **how}) + "\n")
