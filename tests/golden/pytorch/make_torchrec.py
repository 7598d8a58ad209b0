"""Writes torchrec.pt, a DLRM of TorchRec as its training program saves it, and torchrec.json:
inputs, and its predictions. python3 make_torchrec.py (torchrec 1.9, PyTorch 2.15)

The tables are looked up one by one, by PyTorch's EmbeddingBag within them, so that none of
FBGEMM's kernels is called: where they do not load, an empty `fbgemm_gpu` will do."""

import json

import torch
from torchrec.models.dlrm import DLRM
from torchrec.modules.embedding_configs import EmbeddingBagConfig
from torchrec.modules.embedding_modules import EmbeddingBagCollection

TABLES = 12
SAMPLES = 4
torch.manual_seed(11)
configs = [
    EmbeddingBagConfig(
        name=f"t_cat_{number}",
        embedding_dim=4,
        num_embeddings=5 + number,
        feature_names=[f"cat_{number}"],
    )
    for number in range(TABLES)
]
model = DLRM(
    EmbeddingBagCollection(tables=configs),
    dense_in_features=3,
    dense_arch_layer_sizes=[6, 4],
    over_arch_layer_sizes=[5, 3, 1],
)
# Their tables begin near 0, so that the pairs would hardly count.
with torch.no_grad():
    for parameter in model.parameters():
        parameter.copy_(torch.randn(parameter.shape) * 0.7)

dense = torch.randn(SAMPLES, 3)
ids = torch.stack([torch.randint(config.num_embeddings, (SAMPLES,)) for config in configs])
bags = model.sparse_arch.embedding_bag_collection.embedding_bags
vectors = torch.stack(
    [bags[config.name](row.unsqueeze(1)) for config, row in zip(configs, ids)], dim=1
)
with torch.no_grad():
    interacted = model.inter_arch(model.dense_arch(dense), vectors)
    predictions = torch.sigmoid(model.over_arch(interacted)).flatten()

# As a trainer has it, which wraps the model.
state = {"model." + name: value for name, value in model.state_dict().items()}
torch.save({"epoch": 1, "state_dict": state}, "torchrec.pt")
with open("torchrec.json", "w") as file:
    values = {
        "dense": dense.flatten().tolist(),
        "ids": ids.tolist(),
        "predictions": predictions.tolist(),
    }
    file.write(json.dumps(values) + "\n")
