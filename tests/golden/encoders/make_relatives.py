"""Writes `relatives/` beside this file: tiny models of BERT's relatives with seeded weights, saved
by transformers, and the vectors that it computes: a folder a model, `golden.json` in each.

    pip install torch transformers tokenizers && python make_relatives.py
"""

import json
import os
import tempfile

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModel,
    AutoTokenizer,
    DistilBertConfig,
    DistilBertModel,
    MPNetConfig,
    MPNetModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
    BertConfig,
    BertModel,
)

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "relatives")
words = (
    "the a sailor robot witch river bank finds crosses and nobody believes what she saw there "
    "until an old map is found in two cities of gold"
).split()
texts = [
    "The sailor finds a river.",
    "A ROBOT crosses the banks, and nobody believes what she saw there!",
    "",
    "robot <pad> river",
    # Longer than the distances that have buckets of their own, and than what the models take.
    " ".join(words[(7 * i) % len(words)] for i in range(180)),
]


def word_pieces(frame, pad, unk, mask, lowercase=True):
    """WordPiece as BERT's, MPNet's and DistilBERT's."""
    specials = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4}
    if frame == ("[CLS]", "[SEP]"):
        specials = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
    vocab = dict(specials)
    for word in words + ["##s", "##ed", ".", ",", "!", "<", ">", "pad"]:
        vocab.setdefault(word, len(vocab))
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token=unk))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(list(specials))
    first, last = frame
    tokenizer.post_processor = processors.RobertaProcessing(
        (last, vocab[last]), (first, vocab[first]), trim_offsets=True, add_prefix_space=False
    )
    return tokenizer, dict(cls_token=first, sep_token=last, pad_token=pad, unk_token=unk, mask_token=mask)


def byte_pairs():
    """Byte-level BPE as RoBERTa's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer, dict(
        cls_token="<s>", sep_token="</s>", pad_token="<pad>", unk_token="<unk>", mask_token="<mask>"
    )


def unigrams():
    """SentencePiece's unigrams as XLM-R's."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=60,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer, dict(cls_token="<s>", sep_token="</s>", pad_token="<pad>", unk_token="<unk>")


sizes = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40)
of_distilbert = dict(dim=24, n_layers=2, n_heads=3, hidden_dim=40)
angled = word_pieces(("<s>", "</s>"), "<pad>", "<unk>", "<mask>")
squared = word_pieces(("[CLS]", "[SEP]"), "[PAD]", "[UNK]", "[MASK]")
cases = {
    "distilbert": (DistilBertModel, DistilBertConfig, of_distilbert, squared, 160),
    "mpnet": (MPNetModel, MPNetConfig, sizes, angled, 160),
    "roberta": (RobertaModel, RobertaConfig, dict(sizes, type_vocab_size=1, hidden_act="gelu_new"), byte_pairs(), 64),
    "xlm-roberta": (XLMRobertaModel, XLMRobertaConfig, dict(sizes, type_vocab_size=1), unigrams(), 64),
    # A BERT with RoBERTa's frame.
    "bert-framed": (BertModel, BertConfig, sizes, angled, 64),
}
for number, (name, (model_class, config_class, config, (tokenizer, tokens), longest)) in enumerate(cases.items()):
    torch.manual_seed(11 + number)
    folder = f"{out}/{name}"
    os.makedirs(folder, exist_ok=True)
    pad = tokenizer.token_to_id(tokens["pad_token"])
    places = longest if config_class in (DistilBertConfig, BertConfig) else longest + pad + 1
    config = config_class(
        vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=places, pad_token_id=pad, **config
    )
    heads = dict(add_pooling_layer=False) if model_class is not DistilBertModel else {}
    model = model_class(config, **heads).eval()
    for parameter_name, parameter in model.named_parameters():
        spread = 0.4 * torch.randn_like(parameter)
        parameter.data = 1 + spread / 2 if "norm.weight" in parameter_name.lower() else spread
    model.save_pretrained(folder)
    tokenizer.save(f"{folder}/tokenizer.json")
    fast = PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json", **tokens)
    # What was saved, loaded as anyone would.
    model = AutoModel.from_pretrained(folder, **heads).eval()
    ids, cls, mean = [], [], []
    for text in texts:
        encoded = fast(text, truncation=True, max_length=longest, return_tensors="pt", return_token_type_ids=False)
        with torch.no_grad():
            hidden = model(**encoded).last_hidden_state[0]
        ids.append(encoded["input_ids"][0].tolist())
        cls.append(hidden[0].tolist())
        mean.append(hidden.mean(0).tolist())
    versions = f"transformers {transformers.__version__}, torch {torch.__version__}"
    golden = dict(made_with=versions, texts=texts, input_ids=ids, cls=cls, mean=mean)
    json.dump(golden, open(f"{folder}/golden.json", "w"))

# Tokenizers of the files that older models have, and of a tokenizer.json that is set up otherwise
# beside: what transformers makes of each, by the model whose vocabulary it is.
mixed = ["The SAILOR finds a river.", "robot  banks!", " a witch", "éa 北 <mask> bank"]


def lines(tokens):
    return "\n".join(tokens) + "\n"


def by_number(vocab):
    return sorted(vocab, key=vocab.get)


both = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "[PAD]": 3, "[MASK]": 4}
both |= {"<s>": 5, "</s>": 6, "<pad>": 7, "<mask>": 8}
for word in words + ["##s", "The", "SAILOR", "!", ".", "e", "é", "##a", "北"]:
    both.setdefault(word, len(both))
bpe = json.loads(byte_pairs()[0].to_str())["model"]
merges = ["#version: 0.2"] + [merge if isinstance(merge, str) else " ".join(merge) for merge in bpe["merges"]]
of_bpe = {"vocab.json": json.dumps(bpe["vocab"]), "merges.txt": lines(merges)}
fast = json.loads(word_pieces(("[CLS]", "[SEP]"), "[PAD]", "[UNK]", "[MASK]")[0].to_str())
fast["model"]["vocab"] = both
fast["added_tokens"] = []
fast["post_processor"] = None
of_fast = {"tokenizer.json": json.dumps(fast)}
config = lambda **words: {"tokenizer_config.json": json.dumps(words)}
sets = {
    "bert": [
        {"vocab.txt": lines(by_number(both))} | config(tokenizer_class="BertTokenizer"),
        {"vocab.txt": lines(by_number(both))} | config(tokenizer_class="BertTokenizer", do_lower_case=False),
        {"vocab.txt": lines(by_number(both)), "special_tokens_map.json": json.dumps({"cls_token": "<s>", "sep_token": "</s>"})}
        | config(tokenizer_class="BertTokenizer"),
        of_fast | config(tokenizer_class="BertTokenizer", do_lower_case=False),
        of_fast | config(tokenizer_class="BertTokenizer", do_lower_case=True, strip_accents=False),
    ],
    "mpnet": [{"vocab.txt": lines(by_number(both))} | config(tokenizer_class="MPNetTokenizer")],
    "roberta": [
        of_bpe | config(tokenizer_class="RobertaTokenizer"),
        of_bpe | config(tokenizer_class="RobertaTokenizer", add_prefix_space=True),
    ],
}
found = []
for model, cases in sets.items():
    for files in cases:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (files | {"config.json": json.dumps({"model_type": model})}).items():
                open(f"{folder}/{name}", "w").write(text)
            tokenizer = AutoTokenizer.from_pretrained(folder)
            ids = [tokenizer(text)["input_ids"] for text in mixed]
        found.append(dict(model=model, files=files, input_ids=ids))
json.dump(dict(texts=mixed, cases=found), open(f"{out}/tokens.json", "w"))
