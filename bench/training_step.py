"""The baseline of training-step.ts: the same i-RevNet, trained by PyTorch from the same weights on the same images.

    training_step.py START.safetensors  ->  {"milliseconds": [...], "losses": [...]}
"""
import json
import struct
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def read(path):
    with open(path, "rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(length))
        data = f.read()
    metadata = header.pop("__metadata__")
    kinds = {"F32": "<f4", "U8": "u1"}
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        array = np.frombuffer(data[start:end], kinds[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = torch.from_numpy(array.copy())
    return tensors, json.loads(metadata["config"]), json.loads(metadata["settings"])


def psi(x):
    n, c, h, w = x.shape
    return x.view(n, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 1, 2, 4).reshape(n, 4 * c, h // 2, w // 2)


class Block(nn.Module):
    def __init__(self, channels, hidden, out, stride, kernels, first):
        super().__init__()
        widths = [channels, hidden, hidden, out]
        layers = []
        for i, k in enumerate(kernels):
            if not (first and i == 0):
                layers += [nn.BatchNorm2d(widths[i]), nn.ReLU()]
            layers.append(nn.Conv2d(widths[i], widths[i + 1], k, stride if i == 0 else 1, k // 2, bias=False))
        self.f = nn.Sequential(*layers)
        self.stride = stride

    def forward(self, x1, x2):
        f = self.f(x2)
        if self.stride == 2:
            x1, x2 = psi(x1), psi(x2)
        return x2, x1 + f


class Network(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList()
        channels = config["input"]["channels"] * config["initialPsi"] ** 2 // 2
        stages = zip(config["blocks"], config["strides"], config["widths"], config["hidden"])
        for count, stride, width, hidden in stages:
            for i in range(count):
                first = len(self.blocks) == 0
                self.blocks.append(Block(channels, hidden, width, stride if i == 0 else 1, config["kernels"], first))
                channels = width
        self.norm = nn.BatchNorm2d(2 * channels)
        self.linear = nn.Linear(2 * channels, config["classes"])

    def forward(self, pixels):
        spec = self.config["input"]
        x = F.pad(pixels.permute(0, 3, 1, 2).float(), [spec["padding"]] * 4)
        x = psi((x / 255 - spec["mean"][0]) / spec["std"][0])
        x1, x2 = x.chunk(2, 1)
        for block in self.blocks:
            x1, x2 = block(x1, x2)
        return self.linear(F.relu(self.norm(torch.cat([x1, x2], 1))).mean((2, 3)))


def load(network, tensors):
    """Fills in our weights; within a block, convolutions and norms come in the order of their numbers."""
    parts = ("weight", "bias", "running_mean", "running_var")
    state = {}
    for b, block in enumerate(network.blocks):
        convs, norms = 0, 3 - sum(isinstance(m, nn.BatchNorm2d) for m in block.f)
        for i, module in enumerate(block.f):
            if isinstance(module, nn.Conv2d):
                convs += 1
                state[f"blocks.{b}.f.{i}.weight"] = tensors[f"block{b + 1}.conv{convs}.weight"]
            elif isinstance(module, nn.BatchNorm2d):
                norms += 1
                for part in parts:
                    state[f"blocks.{b}.f.{i}.{part}"] = tensors[f"block{b + 1}.norm{norms}.{part}"]
    for part in parts:
        state[f"norm.{part}"] = tensors[f"head.norm.{part}"]
    for part in ("weight", "bias"):
        state[f"linear.{part}"] = tensors[f"head.linear.{part}"]
    missing, surplus = network.load_state_dict(state, strict=False)
    assert not surplus and all("num_batches_tracked" in name for name in missing), (missing, surplus)


def main():
    tensors, config, settings = read(sys.argv[1])
    torch.set_num_threads(settings["threads"])
    network = Network(config)
    load(network, tensors)
    network.train()
    optimiser = torch.optim.SGD(
        network.parameters(),
        settings["learningRate"],
        momentum=settings["momentum"],
        nesterov=True,
        weight_decay=settings["weightDecay"],
    )
    labels = tensors["labels"].long()
    milliseconds, losses = [], []
    for _ in range(settings["steps"]):
        start = time.perf_counter()
        loss = F.cross_entropy(network(tensors["pixels"]), labels, label_smoothing=settings["labelSmoothing"])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        milliseconds.append(1000 * (time.perf_counter() - start))
    print(json.dumps({"milliseconds": milliseconds, "losses": losses}))


main()
