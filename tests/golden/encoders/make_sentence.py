"""Writes `sentence/`: what sentence-transformers computes with the BERT beside this file and
several folders of modules around it.

    pip install sentence-transformers && python make_sentence.py
"""

import json
import os
import shutil
import tempfile

import sentence_transformers
import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer

here = os.path.dirname(os.path.abspath(__file__))
out = f"{here}/sentence"
os.makedirs(out, exist_ok=True)
torch.manual_seed(11)
save_file(
    {"linear.weight": torch.randn(7, 24), "linear.bias": torch.randn(7)},
    f"{out}/dense.safetensors",
)
save_file({"linear.weight": torch.randn(5, 48)}, f"{out}/wide.safetensors")

TEXTS = [
    "The sailor finds a river.",
    "A ROBOT crosses the banks, and nobody believes what she saw there until an old map is found in two cities of gold!",
    "robots",
    "What?",
]
LEGACY = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}


def modules(*kinds):
    old = "sentence_transformers.models."
    paths = {"Transformer": "", "Pooling": "1_Pooling", "Dropout": "9_Dropout"}
    return [
        {
            "idx": i,
            "name": str(i),
            "path": paths.get(kind, f"{i}_{kind}"),
            "type": old + kind,
        }
        for i, kind in enumerate(kinds)
    ]


def legacy(*modes):
    config = {"word_embedding_dimension": 24}
    config.update({key: mode in modes for mode, key in LEGACY.items()})
    return config


def dense(inputs, outputs, activation, bias=True):
    return {
        "in_features": inputs,
        "out_features": outputs,
        "bias": bias,
        "activation_function": activation,
    }


def case(name, kinds, pooling, **files):
    return {
        "name": name,
        "files": {
            "modules.json": modules(*kinds),
            "1_Pooling/config.json": pooling,
            **{key.replace("__", "/") + ".json": value for key, value in files.items()},
        },
    }


plain = ("Transformer", "Pooling")
projected = (*plain, "Dense", "Normalize")
tanh = "torch.nn.modules.activation.Tanh"
cases = [case(f"legacy {mode}", plain, legacy(mode)) for mode in LEGACY]
cases += [
    case(f"new {mode}", plain, {"embedding_dimension": 24, "pooling_mode": mode})
    for mode in LEGACY
]
cases += [
    case("legacy, nothing said", plain, {"word_embedding_dimension": 24}),
    case("legacy, two", plain, legacy("mean", "cls")),
    case(
        "new, two",
        plain,
        {"embedding_dimension": 24, "pooling_mode": ["mean", "lasttoken"]},
    ),
    case(
        "dense, normalised",
        projected,
        legacy("mean"),
        **{"2_Dense__config": dense(24, 7, tanh)},
    ),
    case(
        "dense of two without a bias",
        (*plain, "Dense"),
        legacy("mean", "max"),
        **{
            "2_Dense__config": dense(
                48, 5, "torch.nn.modules.linear.Identity", bias=False
            )
        },
    ),
    case(
        "normalised, dense",
        (*plain, "Normalize", "Dense"),
        legacy("cls"),
        **{"3_Dense__config": dense(24, 7, "torch.nn.modules.activation.ReLU")},
    ),
    case(
        "length of the sentence configuration",
        plain,
        legacy("mean"),
        sentence_bert_config={"max_seq_length": 8},
    ),
    case(
        "length of the tokenizer's configuration",
        plain,
        legacy("mean"),
        sentence_bert_config={},
        tokenizer_config={
            "model_max_length": 9,
            "tokenizer_class": "PreTrainedTokenizerFast",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
        },
    ),
    case(
        "a prompt",
        plain,
        legacy("mean"),
        config_sentence_transformers={
            "prompts": {"query": "the robot: ", "other": "gold "},
            "default_prompt_name": "query",
        },
    ),
]
cases.append(
    case(
        "cut",
        (*plain, "Normalize"),
        legacy("mean"),
        config_sentence_transformers={"truncate_dim": 5, "prompts": {"query": None}},
    )
)
# A tokenizer that keeps case, of a model that does not want it.
tokenizer = json.load(open(f"{here}/bert/tokenizer.json"))
tokenizer["normalizer"]["lowercase"] = False
cases.append(
    case(
        "lowercased",
        plain,
        legacy("mean"),
        sentence_bert_config={"do_lower_case": True},
        tokenizer=tokenizer,
    )
)

for one in cases:
    with tempfile.TemporaryDirectory() as folder:
        for file in ("config.json", "tokenizer.json", "model.safetensors"):
            shutil.copy(f"{here}/bert/{file}", folder)
        for name, content in one["files"].items():
            os.makedirs(os.path.dirname(f"{folder}/{name}"), exist_ok=True)
            json.dump(content, open(f"{folder}/{name}", "w"))
            if name.endswith("_Dense/config.json"):
                weights = "dense" if content["bias"] else "wide"
                shutil.copy(
                    f"{out}/{weights}.safetensors",
                    f"{folder}/{os.path.dirname(name)}/model.safetensors",
                )
        if "tokenizer_config.json" not in one["files"]:
            # Else transformers asks which kind of tokenizer it is.
            names = {"cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "unk": "[UNK]"}
            json.dump(
                {
                    "tokenizer_class": "PreTrainedTokenizerFast",
                    **{f"{key}_token": value for key, value in names.items()},
                },
                open(f"{folder}/tokenizer_config.json", "w"),
            )
        model = SentenceTransformer(folder, device="cpu")
        one["vectors"] = model.encode(TEXTS).tolist()

versions = f"sentence-transformers {sentence_transformers.__version__}, torch {torch.__version__}"
with open(f"{out}/golden.json", "w") as file:
    json.dump({"made_with": versions, "texts": TEXTS, "cases": cases}, file)
