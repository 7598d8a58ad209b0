"""Writes dlrm.pt, as facebookresearch/dlrm's `dlrm_s_pytorch.py --save-model` does,
from the weights of a golden file: python3 make.py dlrm_dot_bce_sgd.safetensors

dlrm-old.pt is the same in the format before PyTorch 1.6, dlrm-parts.pt of a model whose parts
were each wrapped in DataParallel, and saved under another key."""

import sys
from collections import OrderedDict

import numpy as np
import torch
from safetensors.torch import load_file

PREFIX = "before."
weights = load_file(sys.argv[1])
state = OrderedDict(
    (name[len(PREFIX):], value.clone()) for name, value in weights.items() if name.startswith(PREFIX)
)
optimizer = torch.optim.SGD([torch.nn.Parameter(value) for value in state.values()], lr=0.1)
checkpoint = {
    "epoch": 0,
    "nepochs": 1,
    "nbatches": 100,
    "nbatches_test": 10,
    "iter": 5,
    "train_loss": 0.69,
    "total_loss": np.float64(0.5),
    "test_acc": 0.8,
    "state_dict": state,
    "opt_state_dict": optimizer.state_dict(),
}
torch.save(checkpoint, "dlrm.pt")
torch.save(checkpoint, "dlrm-old.pt", _use_new_zipfile_serialization=False)
parts = {name.replace("_l.", "_l.module.", 1): value for name, value in state.items()}
torch.save({"epoch": 0, "model_state_dict": parts}, "dlrm-parts.pt")
