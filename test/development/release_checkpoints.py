"""Writes small i-RevNets as the authors' released code builds and saves them, and what they compute.

    /usr/bin/python3 test/development/release_checkpoints.py test/data/release

Needs Debian's python3-torch. The layers, their order and their names are those of the release; the statistics come from a
few training steps on noise, so that they say what the statistics of a trained network say about its first streams.
"""

import json
import sys
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F
from torch import nn


def psi(x, b):
    if b == 1:
        return x
    n, c, h, w = x.shape
    return x.view(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4).reshape(n, b * b * c, h // b, w // b)


class Block(nn.Module):
    def __init__(self, in_ch, out_ch, stride, first, dropout_rate, affineBN, mult):
        super().__init__()
        self.pad = 2 * out_ch - in_ch
        self.stride = stride
        if self.pad != 0 and stride == 1:
            in_ch = 2 * out_ch
        hidden = out_ch // mult
        norm = lambda channels: nn.BatchNorm2d(channels, affine=affineBN)
        conv = lambda a, b, stride=1: nn.Conv2d(a, b, 3, stride=stride, padding=1, bias=False)
        layers = [] if first else [norm(in_ch // 2), nn.ReLU()]
        layers += [conv(in_ch // 2, hidden, stride), norm(hidden), nn.ReLU(), conv(hidden, hidden)]
        layers += [nn.Dropout(p=dropout_rate), norm(hidden), nn.ReLU(), conv(hidden, out_ch)]
        self.bottleneck_block = nn.Sequential(*layers)

    def forward(self, x):
        if self.pad != 0 and self.stride == 1:
            x = F.pad(torch.cat(x, 1), (0, 0, 0, 0, 0, self.pad)).chunk(2, 1)
        x1, x2 = x
        return psi(x2, self.stride), psi(x1, self.stride) + self.bottleneck_block(x2)


class iRevNet(nn.Module):
    def __init__(self, nBlocks, nStrides, nChannels, nClasses, init_ds, in_shape, mult=4, dropout_rate=0.0, affineBN=True):
        super().__init__()
        self.ds = in_shape[2] // 2 ** (nStrides.count(2) + init_ds // 2)
        self.init_ds = init_ds
        self.in_ch = in_shape[0] * 2**init_ds
        self.nBlocks = nBlocks
        blocks = [(w, s if i == 0 else 1) for w, n, s in zip(nChannels, nBlocks, nStrides) for i in range(n)]
        ins = [self.in_ch] + [2 * w for w, _ in blocks]
        self.stack = nn.ModuleList(
            Block(c, w, s, i == 0, dropout_rate, affineBN, mult) for i, (c, (w, s)) in enumerate(zip(ins, blocks))
        )
        self.bn1 = nn.BatchNorm2d(2 * nChannels[-1], momentum=0.9)
        self.linear = nn.Linear(2 * nChannels[-1], nClasses)

    def forward(self, x):
        x = psi(x, max(1, self.init_ds))
        out = (x[:, : self.in_ch // 2], x[:, self.in_ch // 2 :])
        for block in self.stack:
            out = block(out)
        features = torch.cat(out, 1)
        logits = self.linear(F.avg_pool2d(F.relu(self.bn1(features)), self.ds).flatten(1))
        return logits, features


def built(seed=1, steps=5, train=True, **config):
    """A network with random scales and shifts, whose statistics come from batches of noise; trained a little."""
    torch.manual_seed(seed)
    model = iRevNet(**config).train()
    shape = config["in_shape"]
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    for _ in range(steps):
        loss = F.cross_entropy(model(torch.randn(16, *shape))[0], torch.randint(0, 10, (16,)))
        if train:
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model.eval()


def shuffle(model):
    """Moves scales and shifts away from 1 and 0, so that every one of them matters."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.affine:
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.2, 0.2)
    return model


def write(folder, model, content, file, **config):
    folder.mkdir(parents=True, exist_ok=True)
    x = torch.randn(1, *config["in_shape"])
    with torch.no_grad():
        logits, features = model(x)
    torch.save(content, folder / file)
    for name, values in {"input": x, "logits": logits, "features": features}.items():
        numpy.save(folder / f"{name}.npy", values.numpy())
    parameters = sum(p.numel() for p in model.parameters())
    (folder / "meta.json").write_text(json.dumps({"config": config, "parameters": parameters}, indent=1) + "\n")


def statistics(model):
    """What importing reads of the first two blocks; nothing else of a network tells how it begins."""
    state = model.state_dict()
    parts = ["stack.0.bottleneck_block.1", "stack.1.bottleneck_block.0"]
    names = [f"{part}.{kind}" for part in parts for kind in ("running_mean", "running_var")]
    return {name: state[name].tolist() for name in names}


def main(folder):
    two = dict(nBlocks=[1, 1], nStrides=[1, 2], nClasses=10)
    padded = dict(two, nChannels=[16, 64], init_ds=2, in_shape=[3, 16, 16], dropout_rate=0.1)
    model = built(**padded)
    write(folder / "padded", model, model.state_dict(), "model.pth", **padded)
    plain = dict(two, nChannels=[16, 64], init_ds=0, in_shape=[3, 16, 16], affineBN=False)
    model = built(**plain)
    state = {f"module.module.{name}": values for name, values in model.state_dict().items()}
    write(folder / "affine-false", model, {"state_dict": state, "epoch": 5}, "checkpoint.pth.tar", **plain)
    seen = []
    for channels, init_ds, width in [
        *[(3, 0, w) for w in (8, 16, 24, 32, 96)],
        *[(3, 2, w) for w in (12, 16, 24, 32, 96)],
        *[(1, 0, w) for w in (4, 8, 24)],
        *[(1, 2, w) for w in (8, 16, 24)],
        *[(1, 4, w) for w in (24, 32)],
        (3, 2, 6),
        (3, 4, 24),
        (3, 2, 8),
        (1, 4, 8),
        (1, 2, 2),
        (3, 0, 2),
    ]:
        config = dict(two, nChannels=[width, 4 * width], init_ds=init_ds, in_shape=[channels, 16, 16], mult=2)
        for how in ("trained", "shuffled"):
            if how == "shuffled":
                torch.manual_seed(2)
                model = shuffle(iRevNet(**config)).train()
                with torch.no_grad():
                    for _ in range(3):
                        model(torch.randn(16, *config["in_shape"]))
            else:
                model = built(steps=5 if how == "trained" else 0, **config)
            seen.append({"channels": channels, "initialPsi": max(1, init_ds), "width": width, "how": how, "statistics": statistics(model)})
    (folder / "statistics.json").write_text(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
