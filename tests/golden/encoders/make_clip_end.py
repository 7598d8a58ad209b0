"""Writes `clip-tiny-end.json`: what transformers makes of texts that hold CLIP's own tokens, by the
model in the folder that is named.

    pip install torch transformers && python make_clip_end.py SHARED/models/clip-tiny
"""

import json
import os
import sys

import torch
import transformers
from transformers import AutoTokenizer, CLIPModel

here = os.path.dirname(os.path.abspath(__file__))
model = CLIPModel.from_pretrained(sys.argv[1]).eval()
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
texts = [
    "A sailor finds <|endoftext|> the river.",
    "<|endoftext|>",
    "A robot <|startoftext|> crosses.",
    "The end <|ENDOFTEXT|> of it.",
]
found = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
with torch.no_grad():
    vectors = model.get_text_features(**found)
    vectors = getattr(vectors, "pooler_output", vectors)
ids = [
    [int(i) for i, kept in zip(row, mask) if kept]
    for row, mask in zip(found["input_ids"], found["attention_mask"])
]
with open(f"{here}/clip-tiny-end.json", "w") as file:
    json.dump(
        {
            "made_with": f"transformers {transformers.__version__}, torch {torch.__version__}",
            "texts": texts,
            "input_ids": ids,
            "text_embeds": vectors.tolist(),
        },
        file,
    )
