"""The baseline of compare.ts: the network of a model folder behind FastAPI and uvicorn, run by PyTorch.

    fastapi_server.py SETTINGS.json PORT THREADS AT_ONCE

THREADS are the threads of one operation of PyTorch, AT_ONCE the requests that are computed at the same time (FastAPI's default
is 40). uvicorn uses uvloop and httptools where they are installed.
"""
import io
import json
import os
import sys

# The threads of OpenMP and of BLAS would compete otherwise (see irevnet_torch.py). It is read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import anyio.to_thread
import numpy as np
import torch
import uvicorn
from fastapi import Depends, FastAPI, Request, UploadFile
from fastapi.responses import JSONResponse
from PIL import Image

from irevnet_torch import Network, read_weights

settings_file, port, threads, at_once = sys.argv[1], *map(int, sys.argv[2:])
with open(settings_file) as f:
    settings = json.load(f)
torch.set_num_threads(threads)
network = Network(settings["config"], read_weights(**settings["weights"]))
labels = settings["labels"]
spec = settings["config"]["input"]
size = spec["width"], spec["height"]
mode = "L" if spec["channels"] == 1 else "RGB"
app = FastAPI()


def read_pixels(data):
    """uint8 [1, H, W, C]"""
    image = Image.open(io.BytesIO(data)).convert(mode)
    if image.size != size:
        image = image.resize(size, Image.BILINEAR)
    return torch.from_numpy(np.array(image).reshape(1, size[1], size[0], -1))


@torch.inference_mode()
def classify(data):
    logits = network.forward(read_pixels(data))[1]
    top = logits.softmax(1)[0].topk(min(5, len(labels)))
    scores = zip(top.indices.tolist(), top.values.tolist())
    best = [{"index": i, "label": labels[i], "probability": probability} for i, probability in scores]
    return JSONResponse({"predictions": [{"top": best}]})


async def body(request: Request):
    return await request.body()


@app.on_event("startup")
def limit():
    anyio.to_thread.current_default_thread_limiter().total_tokens = at_once


@app.get("/readyz")
def ready():
    return {"status": "ready"}


@app.post("/classify")
def classify_body(data: bytes = Depends(body)):
    return classify(data)


@app.post("/form")
def classify_form(file: UploadFile):
    return classify(file.file.read())


@app.post("/logits")
@torch.inference_mode()
def compute_logits(data: bytes = Depends(body)):
    return network.forward(read_pixels(data))[1].flatten().tolist()


# One image before the first request, as irevnet's service does it.
with torch.inference_mode():
    network.forward(torch.zeros(1, size[1], size[0], spec["channels"], dtype=torch.uint8))
uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)
