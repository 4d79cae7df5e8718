"""The baseline of throughput.ts: the same i-RevNet with the same weights, run by PyTorch on the same images.

    throughput.py SETTINGS.json

The first line of output has the logits of all images and the BLAS in use; then every line of input, an order
{"direction", "batch", "runs"}, is answered by one: {"seconds"}.

At batch 1, PyTorch 1.13 computes small 3x3 convolutions by BLAS. Debian's default BLAS is a slow one; libopenblas0 is not,
but its threads and OpenMP's get in each other's way unless OMP_WAIT_POLICY=PASSIVE, which costs at batch 8.
"""
import json
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F


def read(file, kind, shape, offset=0):
    array = np.fromfile(file, kind, int(np.prod(shape)), offset=offset)
    return torch.from_numpy(array.reshape(shape))


def read_weights(file, slots):
    """The tensors of a weights file, from where the ONNX graphs take them as well."""
    return {name: read(file, "<f4", slot["shape"], slot["offset"]) for name, slot in slots.items()}


def psi(x, b):
    """Channels ordered (row, column, channel), unlike those of F.pixel_unshuffle."""
    n, c, h, w = x.shape
    return x.view(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4).reshape(n, b * b * c, h // b, w // b)


def psi_inverse(y, b):
    n, c, h, w = y.shape
    return y.view(n, b, b, c // b**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // b**2, h * b, w * b)


def norm_relu(x, weights, name):
    mean, var, weight, bias = (weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return F.relu(F.batch_norm(x, mean, var, weight, bias))


class Network:
    def __init__(self, config, weights):
        self.config = config
        self.weights = weights
        spec = config["input"]
        self.mean, self.std = (torch.tensor(spec[part]).view(1, -1, 1, 1) for part in ("mean", "std"))
        stages = zip(config["blocks"], config["strides"])
        self.strides = [stride if i == 0 else 1 for count, stride in stages for i in range(count)]

    def bottleneck(self, block, x):
        for conv, kernel in enumerate(self.config["kernels"], 1):
            if block > 1 or conv > 1:
                x = norm_relu(x, self.weights, f"block{block}.norm{conv}")
            stride = self.strides[block - 1] if conv == 1 else 1
            x = F.conv2d(x, self.weights[f"block{block}.conv{conv}.weight"], stride=stride, padding=kernel // 2)
        return x

    def forward(self, pixels):
        x = (pixels.permute(0, 3, 1, 2).float() / 255 - self.mean) / self.std
        x1, x2 = psi(x, self.config["initialPsi"]).chunk(2, 1)
        for block, stride in enumerate(self.strides, 1):
            f = self.bottleneck(block, x2)
            if stride > 1:
                x1, x2 = psi(x1, stride), psi(x2, stride)
            x1, x2 = x2, x1 + f
        features = torch.cat([x1, x2], 1)
        pooled = norm_relu(features, self.weights, "head.norm").mean((2, 3))
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
        levels = ((x * self.std + self.mean) * 255).round().clamp(0, 255)
        return levels.permute(0, 2, 3, 1).to(torch.uint8)


def loaded_blas():
    with open("/proc/self/maps") as f:
        return sorted({os.path.basename(line.split()[-1]) for line in f if "blas" in line})


def answer(value):
    print(json.dumps(value), flush=True)


@torch.no_grad()
def main():
    with open(sys.argv[1]) as f:
        settings = json.load(f)
    torch.set_num_threads(settings["threads"])
    network = Network(settings["config"], read_weights(**settings["weights"]))
    images = read(kind="u1", **settings["pixels"])
    features, logits = network.forward(images)
    assert torch.equal(network.inverse(features), images), "PyTorch's inverse is no inverse"
    answer({"logits": logits.flatten().tolist(), "blas": loaded_blas()})
    inputs = {"forward": images, "inverse": features}
    for line in sys.stdin:
        order = json.loads(line)
        run, batch = getattr(network, order["direction"]), inputs[order["direction"]][: order["batch"]]
        start = time.perf_counter()
        for _ in range(order["runs"]):
            run(batch)
        answer({"seconds": time.perf_counter() - start})


main()
