"""The baseline of training-step.ts: the same i-RevNet, trained by PyTorch from the same weights on the same images.

    training_step.py SETTINGS.json

Every line of input asks for a step, which a line of output answers: {"milliseconds", "loss"}.
"""
import json
import sys
import time

import torch
import torch.nn.functional as F

from irevnet_torch import Network, read, read_weights


def main():
    with open(sys.argv[1]) as f:
        settings = json.load(f)
    torch.set_num_threads(settings["threads"])
    device = settings["device"]
    weights = {name: value.to(device) for name, value in read_weights(**settings["weights"]).items()}
    trained = [weight.requires_grad_() for name, weight in weights.items() if ".running_" not in name]
    network = Network(settings["config"], weights, training=True)
    optimiser = torch.optim.SGD(
        trained,
        settings["learningRate"],
        momentum=settings["momentum"],
        nesterov=True,
        weight_decay=settings["weightDecay"],
    )
    pixels = read(kind="u1", **settings["pixels"]).to(device)
    labels = torch.arange(len(pixels), device=device) % settings["config"]["classes"]
    for _ in sys.stdin:
        start = time.perf_counter()
        logits = network.forward(pixels)[1]
        loss = F.cross_entropy(logits, labels, label_smoothing=settings["labelSmoothing"])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        answer = {"loss": loss.item(), "milliseconds": 1000 * (time.perf_counter() - start)}
        print(json.dumps(answer), flush=True)


main()
