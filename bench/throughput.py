"""The baseline of throughput.ts: the same i-RevNet with the same weights, run by PyTorch on the same images.

    throughput.py SETTINGS.json

The first line of output has the logits of all images and the BLAS in use. Then every line of input, an order
{"direction", "batch", "runs"}, is answered by a line: {"seconds"}.
"""
import json
import sys
import time

import torch

from irevnet_torch import Network, loaded_blas, read, read_weights


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
