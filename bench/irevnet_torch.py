"""The i-RevNet of a model folder in PyTorch, on plain floats: the baseline of throughput.ts, compare.ts and training-step.ts.

At batch 1, PyTorch 1.13 computes small 3x3 convolutions by BLAS. Debian's default BLAS is a slow one; libopenblas0 is not,
but its threads and OpenMP's get in each other's way unless OMP_WAIT_POLICY=PASSIVE, which costs at batch 8.
"""
import os

import numpy as np
import torch
import torch.nn.functional as F


def read(file, kind, shape, offset=0):
    array = np.fromfile(file, kind, int(np.prod(shape)), offset=offset)
    return torch.from_numpy(array.reshape(shape))


def read_weights(file, slots):
    """The tensors of a weights file, from where the ONNX graphs take them as well."""
    return {name: read(file, "<f4", slot["shape"], slot["offset"]) for name, slot in slots.items()}


def loaded_blas():
    with open("/proc/self/maps") as f:
        return sorted({os.path.basename(line.split()[-1]) for line in f if "blas" in line})


def psi(x, b):
    """Channels ordered (row, column, channel), unlike those of F.pixel_unshuffle."""
    n, c, h, w = x.shape
    return x.view(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4).reshape(n, b * b * c, h // b, w // b)


def psi_inverse(y, b):
    n, c, h, w = y.shape
    return y.view(n, b, b, c // b**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // b**2, h * b, w * b)


def norm_relu(x, weights, name, training):
    mean, var, weight, bias = (weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return F.relu(F.batch_norm(x, mean, var, weight, bias, training))


class Network:
    def __init__(self, config, weights, training=False):
        self.config = config
        self.training = training
        self.weights = weights
        spec = config["input"]
        self.padding = [spec["padding"]] * 4
        device = next(iter(weights.values())).device
        self.mean, self.std = (torch.tensor(spec[part], device=device).view(1, -1, 1, 1) for part in ("mean", "std"))
        stages = zip(config["blocks"], config["strides"])
        self.strides = [stride if i == 0 else 1 for count, stride in stages for i in range(count)]

    def bottleneck(self, block, x):
        for conv, kernel in enumerate(self.config["kernels"], 1):
            if block > 1 or conv > 1:
                x = norm_relu(x, self.weights, f"block{block}.norm{conv}", self.training)
            stride = self.strides[block - 1] if conv == 1 else 1
            x = F.conv2d(x, self.weights[f"block{block}.conv{conv}.weight"], stride=stride, padding=kernel // 2)
        return x

    def forward(self, pixels):
        """uint8 [N, H, W, C] -> features and logits"""
        x = F.pad(pixels.permute(0, 3, 1, 2).float(), self.padding)
        x = (x / 255 - self.mean) / self.std
        x1, x2 = psi(x, self.config["initialPsi"]).chunk(2, 1)
        for block, stride in enumerate(self.strides, 1):
            f = self.bottleneck(block, x2)
            if stride > 1:
                x1, x2 = psi(x1, stride), psi(x2, stride)
            x1, x2 = x2, x1 + f
        features = torch.cat([x1, x2], 1)
        pooled = norm_relu(features, self.weights, "head.norm", self.training).mean((2, 3))
        return features, F.linear(pooled, self.weights["head.linear.weight"], self.weights["head.linear.bias"])

    def inverse(self, features):
        x2, y1 = features.chunk(2, 1)
        for block, stride in reversed(list(enumerate(self.strides, 1))):
            if stride > 1:
                x2 = psi_inverse(x2, stride)
            x1 = y1 - self.bottleneck(block, x2)
            if stride > 1:
                x1 = psi_inverse(x1, stride)
            x2, y1 = x1, x2
        x = psi_inverse(torch.cat([x2, y1], 1), self.config["initialPsi"])
        levels = F.pad(((x * self.std + self.mean) * 255).round().clamp(0, 255), [-p for p in self.padding])
        return levels.permute(0, 2, 3, 1).to(torch.uint8)
