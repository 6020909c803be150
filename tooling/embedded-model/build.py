"""Builds packages/embedded-model/model from the original. Same input, same machine: the same bytes. See README.md."""

import os

# Before NumPy is loaded: sums must depend neither on how many cores there are nor, on x86-64, on which.
os.environ['OPENBLAS_NUM_THREADS'] = '1'
os.environ['OPENBLAS_CORETYPE'] = 'Haswell'

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np

from calibration import calibration_sequences, held_out_sequences
from embeddings import quantise_positions, quantise_words, refined_rows
from encoder import encode
from gate import MODEL, gate_sentences
from graph import write_graph
from measure import compare, load_reference
from original import (
    MAX_TOKENS,
    WEIGHTS_SHA256,
    load_tokenizer,
    load_tokenizer_json,
    load_weights,
    original_directory,
)
from plan import FREQUENT_WORDS, MATRIX_BITS, MAX_FOLDER_BYTES, matrix_plan
from quantise import quantise_encoder
from session import open_session, run_each, run_padded

ONNX_FILE = 'onnx/model_quantized.onnx'
WORDS = 'embeddings.word_embeddings.weight'
POSITIONS = 'embeddings.position_embeddings.weight'
KEPT_BY_HAND = ('LICENSE', 'NOTICE')


def write_json(path: Path, value: object, indent: int | None = 2) -> None:
    separators = None if indent else (',', ':')
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)
    path.write_text(text + '\n', encoding='utf-8', newline='\n')


def write_onnx(path: Path, original: dict[str, np.ndarray], sequences: list[list[int]]) -> None:
    importance = np.square(original['embeddings.LayerNorm.weight'].astype(np.float64))
    words = quantise_words(original[WORDS], importance, FREQUENT_WORDS)
    positions = quantise_positions(original[POSITIONS], importance)
    tables = {WORDS: words.values(), POSITIONS: positions.values()}
    quantised = quantise_encoder(original, tables, sequences, matrix_plan)
    metadata = {
        'origin': 'sentence-transformers/all-MiniLM-L6-v2',
        'origin_sha256': WEIGHTS_SHA256,
        'licence': 'Apache-2.0',
    }
    model = write_graph(
        quantised.weights, quantised.matrices, words, refined_rows(FREQUENT_WORDS), positions, metadata
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def write_configuration(directory: Path) -> None:
    source = original_directory()
    config = json.loads((source / 'config.json').read_text(encoding='utf-8'))
    # Where transformers.js finds the model on every device: onnx/model_quantized.onnx.
    config['transformers.js_config'] = {'dtype': 'q8'}
    write_json(directory / 'config.json', config)
    tokenizer_config = json.loads((source / 'tokenizer_config.json').read_text(encoding='utf-8'))
    tokenizer_config['model_max_length'] = MAX_TOKENS
    write_json(directory / 'tokenizer_config.json', tokenizer_config)
    tokenizer = load_tokenizer_json()
    tokenizer['truncation']['max_length'] = MAX_TOKENS
    tokenizer['padding'] = None
    write_json(directory / 'tokenizer.json', tokenizer, indent=None)
    # What says that embeddings are means of tokens, scaled to length 1.
    for name in ('modules.json', '1_Pooling/config.json'):
        (directory / name).parent.mkdir(exist_ok=True)
        write_json(directory / name, json.loads((source / name).read_text(encoding='utf-8')))


def measure(path: Path, original: dict[str, np.ndarray]) -> dict[str, str]:
    """The figures of the model card."""
    tokenizer = load_tokenizer()
    session = open_session(path)
    gate = [tokenizer.encode(sentence).ids for sentence in gate_sentences()]
    alone = run_each(session, gate)
    figures = compare(alone, load_reference())
    held_out = held_out_sequences(tokenizer)
    cosine = (run_each(session, held_out).astype(np.float64) * encode(original, held_out)).sum(axis=1)
    batched = np.abs(run_padded(session, gate, 8) - alone).max()
    return {
        'mean_cosine': f'{figures.mean_cosine:.5f}',
        'min_cosine': f'{figures.min_cosine:.5f}',
        'triples_right': str(figures.triples_right),
        'triples_right_original': str(figures.triples_right_original),
        'plain_right': str(figures.plain_right),
        'plain_right_original': str(figures.plain_right_original),
        'held_out_mean': f'{cosine.mean():.5f}',
        'held_out_min': f'{cosine.min():.5f}',
        'batch_difference': f'{batched:.1e}' if batched else '0',
        'onnx_bytes': f'{path.stat().st_size:,}',
        'onnx_sha256': hashlib.sha256(path.read_bytes()).hexdigest(),
        'origin_sha256': WEIGHTS_SHA256,
        'max_tokens': str(MAX_TOKENS),
        'matrix_bits': MATRIX_BITS,
        'frequent_words': f'{FREQUENT_WORDS:,}',
    }


def write_card(path: Path, figures: dict[str, str]) -> None:
    text = Path(__file__).with_name('model-card.md').read_text(encoding='utf-8')
    for name, value in figures.items():
        text = text.replace('{{' + name + '}}', value)
    if '{{' in text:
        raise SystemExit('model-card.md names a figure that was not measured')
    path.write_text(text, encoding='utf-8', newline='\n')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=MODEL, help='folder to write to (default: the package)')
    directory: Path = parser.parse_args().out
    original = load_weights()
    write_onnx(directory / ONNX_FILE, original, calibration_sequences(load_tokenizer()))
    write_configuration(directory)
    figures = measure(directory / ONNX_FILE, original)
    write_card(directory / 'README.md', figures)
    for name, value in figures.items():
        print(f'{name}: {value}')
    by_hand = sum((MODEL / name).stat().st_size for name in KEPT_BY_HAND if not (directory / name).exists())
    total = by_hand + sum(file.stat().st_size for file in directory.rglob('*') if file.is_file())
    print(f'folder: {total:,} of {MAX_FOLDER_BYTES:,} bytes')
    if total > MAX_FOLDER_BYTES:
        raise SystemExit('the folder is too large')


if __name__ == '__main__':
    main()
