"""Writes a llama of random weights as a GGUF file: 2 MB that a llama.cpp server loads, and that answers nonsense.

    python tests/benchmarks/_tiny_llama.py tiny.gguf

The package `gguf` has to be there, and brings numpy. The first dimension of every embedding is the same constant, and
the output has a bias for each token in that dimension: letters are likely, quotes and the end of the answer likely
enough that an answer under a grammar ends after some words.
"""

import sys

import gguf
import numpy as np

WIDTH, HEADS, LAYERS, INNER, CONTEXT = 64, 4, 2, 128, 32_768
LETTERS = [chr(code) for code in range(0x21, 0x7F)]
TEMPLATE = "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}\n{% endfor %}<|assistant|>"
LIKELY = {"\u2581": 1.5, '"': 4.0, "}": 3.0, "]": 3.0, "</s>": 2.0}
"""How much likelier a token is than others, as a difference of logits."""


def vocabulary() -> list[tuple[str, float, int]]:
    """Return the tokens: the special ones, one for each byte, and one for each letter."""
    kind = gguf.TokenType
    special = [("<unk>", 0.0, kind.UNKNOWN), ("<s>", 0.0, kind.CONTROL), ("</s>", 0.0, kind.CONTROL)]
    octets = [(f"<0x{octet:02X}>", 0.0, kind.BYTE) for octet in range(256)]
    letters = [(letter, -float(rank), kind.NORMAL) for rank, letter in enumerate(["\u2581", *LETTERS], start=1)]
    return [*special, *octets, *letters]


def bias_of(token: str, kind: int) -> float:
    """Return the bias of a token: bytes, of which few make a character, are all but excluded."""
    if kind == gguf.TokenType.BYTE:
        return -8.0
    return LIKELY.get(token, 1.0 if token.isalpha() else 0.0)


def write(path: str, *, seed: int = 1) -> None:
    """Write the file."""
    drawn = np.random.default_rng(seed)
    tokens = vocabulary()
    out = gguf.GGUFWriter(path, "llama")
    out.add_name("tiny random llama")
    out.add_context_length(CONTEXT)
    out.add_embedding_length(WIDTH)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(INNER)
    out.add_head_count(HEADS)
    out.add_head_count_kv(HEADS)
    out.add_rope_dimension_count(WIDTH // HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_vocab_size(len(tokens))
    out.add_file_type(gguf.LlamaFileType.ALL_F32)
    out.add_tokenizer_model("llama")
    out.add_tokenizer_pre("default")
    out.add_token_list([token for token, _, _ in tokens])
    out.add_token_scores([score for _, score, _ in tokens])
    out.add_token_types([kind for _, _, kind in tokens])
    out.add_unk_token_id(0)
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_add_bos_token(True)
    out.add_chat_template(TEMPLATE)

    def weights(*shape: int) -> np.ndarray:
        return drawn.normal(0, 0.05, shape).astype(np.float32)

    def ones() -> np.ndarray:
        return np.ones(WIDTH, np.float32)

    embeddings, output = weights(len(tokens), WIDTH), weights(len(tokens), WIDTH)
    embeddings[:, 0] = 1.0
    output[:, 0] = [bias_of(token, kind) / 7.5 for token, _, kind in tokens]
    out.add_tensor("token_embd.weight", embeddings)
    out.add_tensor("output_norm.weight", ones())
    out.add_tensor("output.weight", output)
    for layer in range(LAYERS):
        out.add_tensor(f"blk.{layer}.attn_norm.weight", ones())
        out.add_tensor(f"blk.{layer}.ffn_norm.weight", ones())
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            out.add_tensor(f"blk.{layer}.{name}.weight", weights(WIDTH, WIDTH))
        out.add_tensor(f"blk.{layer}.ffn_gate.weight", weights(INNER, WIDTH))
        out.add_tensor(f"blk.{layer}.ffn_up.weight", weights(INNER, WIDTH))
        out.add_tensor(f"blk.{layer}.ffn_down.weight", weights(WIDTH, INNER))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    write(sys.argv[1])
