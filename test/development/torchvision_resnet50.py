"""Writes torchvision's ResNet-50 with random weights, and what it computes, for `irevnet import` and `validate --reference`.

    python3 test/development/torchvision_resnet50.py /tmp/resnet
    npm run -s irevnet -- import /tmp/resnet/resnet50.pth --name resnet-50 --models /tmp/models
    npm run -s irevnet -- validate resnet-50 --models /tmp/models --reference /tmp/resnet

Needs Debian's python3-torchvision. Statistics are moved away from 0 and 1, so that every one of them matters.
"""

import sys
from pathlib import Path

import numpy
import torch
from torchvision.models import resnet50

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
torch.manual_seed(1)
model = resnet50().eval()
for module in model.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
        module.weight.data.uniform_(0.5, 1.5)
        module.bias.data.uniform_(-0.2, 0.2)
        module.running_mean.uniform_(-0.2, 0.2)
        module.running_var.uniform_(0.5, 1.5)
x = torch.randn(2, 3, 224, 224)
with torch.no_grad():
    logits = model(x)
torch.save(model.state_dict(), folder / "resnet50.pth")
numpy.save(folder / "input.npy", x.numpy())
numpy.save(folder / "logits.npy", logits.numpy())
