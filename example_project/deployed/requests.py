"""Requests to a help desk, sorted by subject: a small BERT with a WordPiece vocabulary of its own.

It has read only the sentences below. That is enough to show how a pipeline is tested, and for nothing else.
"""

from __future__ import annotations

from pathlib import Path
from string import ascii_lowercase

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from deployed.checkpoint import trained_once
from deployed.training import fit

SENTENCES = {
    "payment": (
        "my card was charged twice this month",
        "please send me a refund for the last invoice",
        "the invoice shows the wrong amount",
        "how do I pay by bank transfer",
        "I want to change the card you charge every month",
        "why was I charged a fee on my invoice",
        "the refund has not reached my bank account",
        "can I pay the invoice in two parts",
    ),
    "delivery": (
        "where is my parcel",
        "the parcel was delivered to the wrong address",
        "my order has not arrived yet",
        "the courier left the box in the rain and it arrived wet",
        "can you deliver the order on Saturday",
        "please ship my order to a new address",
        "the box arrived damaged",
        "how long does delivery to Norway take",
    ),
    "login": (
        "I forgot my password",
        "the page says my password is wrong",
        "how do I reset my password",
        "I can't sign in on my new phone",
        "the code to sign in never comes by mail",
        "my user name is locked after three attempts",
        "please unlock my user name",
        "the sign in page does not load",
    ),
}


def checkpoint() -> Path:
    """Return the folder of the trained model and its tokenizer: 0.1 million parameters."""
    return trained_once("requests", _train)


def _tokenizer() -> PreTrainedTokenizerFast:
    """Knows every word of the sentences; others are spelled."""
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    words = {word for texts in SENTENCES.values() for text in texts for word in text.lower().split()}
    letters = [mark + letter for mark in ("", "##") for letter in ascii_lowercase]
    vocabulary = dict.fromkeys([*special.values(), *sorted(words), *letters])
    numbers = {piece: number for number, piece in enumerate(vocabulary)}
    tokenizer = Tokenizer(WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, numbers[name]) for name in ("[CLS]", "[SEP]")]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **special)


def _train(folder: Path) -> None:
    torch.manual_seed(0)
    tokenizer = _tokenizer()
    subjects = list(SENTENCES)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=64,
        initializer_range=0.1,
        id2label=dict(enumerate(subjects)),
        label2id={subject: number for number, subject in enumerate(subjects)},
    )
    model = BertForSequenceClassification(config)
    texts = [text for subject in subjects for text in SENTENCES[subject]]
    labels = torch.tensor([subjects.index(subject) for subject in subjects for _ in SENTENCES[subject]])
    tokens = tokenizer(texts, padding=True, return_tensors="pt")
    fit(model, {**tokens, "labels": labels}, epochs=60, batch=8)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
