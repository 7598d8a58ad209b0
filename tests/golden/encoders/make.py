"""Writes the golden values beside this file: a tiny BERT and two tiny ResNets with
seeded weights in Hugging Face layout, and what transformers computes with them.

    pip install torch transformers safetensors && python make.py
"""

import json
import os
import re

import torch
import transformers
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    ResNetConfig,
    ResNetModel,
)

out = os.path.dirname(os.path.abspath(__file__))
torch.manual_seed(7)
# --- BERT
cfg = BertConfig(
    vocab_size=60,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=40,
    max_position_embeddings=16,
    type_vocab_size=2,
)
m = BertModel(cfg, add_pooling_layer=False).eval()
for n, p in m.named_parameters():
    if "LayerNorm.weight" in n:
        p.data = 1 + 0.2 * torch.randn_like(p)
    else:
        p.data = 0.4 * torch.randn_like(p)
words = (
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    + "the a sailor robot witch river bank finds crosses and nobody believes what she saw there until an old map is found in two cities of gold ##s ##ed . , ! ?".split()
)
vocab = {w: i for i, w in enumerate(words)}
assert len(vocab) <= 60
tok = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [
        {
            "id": vocab[w],
            "content": w,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for w in words[:4]
    ],
    "normalizer": {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    },
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
        ],
        "pair": [
            {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
            {"Sequence": {"id": "B", "type_id": 1}},
            {"SpecialToken": {"id": "[SEP]", "type_id": 1}},
        ],
        "special_tokens": {
            "[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
            "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]},
        },
    },
    "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    "model": {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": vocab,
    },
}
d = f"{out}/bert"
os.makedirs(d, exist_ok=True)
json.dump(tok, open(f"{d}/tokenizer.json", "w"))
c = cfg.to_dict()
c = {
    k: c[k]
    for k in (
        "model_type",
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
        "type_vocab_size",
        "hidden_act",
        "layer_norm_eps",
    )
}
json.dump(c, open(f"{d}/config.json", "w"), indent=1)
# named as bert-base-uncased's file names them
sd = {
    "bert."
    + k.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
        "LayerNorm.bias", "LayerNorm.beta"
    ): v.contiguous()
    for k, v in m.state_dict().items()
    if "position_ids" not in k
}
save_file(sd, f"{d}/model.safetensors")
t = PreTrainedTokenizerFast(
    tokenizer_file=f"{d}/tokenizer.json",
    cls_token="[CLS]",
    sep_token="[SEP]",
    pad_token="[PAD]",
    unk_token="[UNK]",
)
texts = [
    "The sailor finds a river.",
    "A ROBOT crosses the banks, and nobody believes what she saw there until an old map is found in two cities of gold!",
    "robots",
    "What?",
]
e = t(texts, padding=True, truncation=True, max_length=16, return_tensors="pt")
with torch.no_grad():
    h = m(input_ids=e["input_ids"], attention_mask=e["attention_mask"]).last_hidden_state
mask = e["attention_mask"][:, :, None].float()
mean = (h * mask).sum(1) / mask.sum(1)
json.dump(
    dict(
        made_with=f"transformers {transformers.__version__}, torch {torch.__version__}",
        texts=texts,
        input_ids=[
            [i for i, a in zip(r, k) if a]
            for r, k in zip(e["input_ids"].tolist(), e["attention_mask"].tolist())
        ],
        cls=h[:, 0].tolist(),
        mean=mean.tolist(),
        mean_normalised=torch.nn.functional.normalize(mean, dim=1).tolist(),
    ),
    open(f"{d}/golden.json", "w"),
)


# --- ResNets
def fill(m):
    for n, p in m.state_dict().items():
        if "running_var" in n:
            p.copy_(0.5 + torch.rand_like(p))
        elif "running_mean" in n:
            p.copy_(0.2 * torch.randn_like(p))
        elif p.ndim == 4:
            p.copy_(torch.randn_like(p) * (1.5 / (p[0].numel())) ** 0.5)
        elif p.ndim == 1 and "weight" in n:
            p.copy_(1 + 0.2 * torch.randn_like(p))
        elif p.ndim == 1:
            p.copy_(0.2 * torch.randn_like(p))


def pixels(n, side):
    i = torch.arange(n * 3 * side * side, dtype=torch.float64)
    return (((i * 7919) % 1009) / 504.5 - 1).float().reshape(n, 3, side, side)


for name, kw in (
    (
        "resnet-bottleneck",
        dict(
            embedding_size=8, hidden_sizes=[16, 24, 32], depths=[2, 1, 2], layer_type="bottleneck"
        ),
    ),
    (
        "resnet-basic",
        dict(embedding_size=6, hidden_sizes=[6, 12], depths=[1, 2], layer_type="basic"),
    ),
):
    cfg = ResNetConfig(**kw)
    m = ResNetModel(cfg).eval()
    fill(m)
    d = f"{out}/{name}"
    os.makedirs(d, exist_ok=True)
    c = cfg.to_dict()
    c = {
        k: c[k]
        for k in (
            "model_type",
            "num_channels",
            "embedding_size",
            "hidden_sizes",
            "depths",
            "layer_type",
            "hidden_act",
            "downsample_in_first_stage",
            "downsample_in_bottleneck",
        )
    }
    json.dump(c, open(f"{d}/config.json", "w"), indent=1)
    sd = {k: v.contiguous() for k, v in m.state_dict().items() if "num_batches" not in k}
    if name == "resnet-bottleneck":
        sd = {"resnet." + k: v for k, v in sd.items()}
    else:  # torchvision's names

        def tv(k):
            k = k.replace("embedder.embedder.convolution", "conv1").replace(
                "embedder.embedder.normalization", "bn1"
            )
            k = re.sub(
                r"encoder\.stages\.(\d+)\.layers\.(\d+)\.shortcut\.convolution",
                lambda g: f"layer{int(g[1])+1}.{g[2]}.downsample.0",
                k,
            )
            k = re.sub(
                r"encoder\.stages\.(\d+)\.layers\.(\d+)\.shortcut\.normalization",
                lambda g: f"layer{int(g[1])+1}.{g[2]}.downsample.1",
                k,
            )
            k = re.sub(
                r"encoder\.stages\.(\d+)\.layers\.(\d+)\.layer\.(\d+)\.convolution",
                lambda g: f"layer{int(g[1])+1}.{g[2]}.conv{int(g[3])+1}",
                k,
            )
            return re.sub(
                r"encoder\.stages\.(\d+)\.layers\.(\d+)\.layer\.(\d+)\.normalization",
                lambda g: f"layer{int(g[1])+1}.{g[2]}.bn{int(g[3])+1}",
                k,
            )

        sd = {tv(k): v for k, v in sd.items()}
    save_file(sd, f"{d}/model.safetensors")
    json.dump(
        {
            "do_resize": True,
            "size": {"height": 48, "width": 48},
            "resample": 2,
            "do_center_crop": False,
        },
        open(f"{d}/preprocessor_config.json", "w"),
    )
    x = pixels(2, 48)
    with torch.no_grad():
        o = m(x).pooler_output.flatten(1)
    json.dump(
        dict(
            made_with=f"transformers {transformers.__version__}, torch {torch.__version__}",
            pooled=o.tolist(),
        ),
        open(f"{d}/golden.json", "w"),
    )
    print(name, o.std(), o.shape)
