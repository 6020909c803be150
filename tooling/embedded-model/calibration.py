"""
Token sequences to calibrate on: the lines of calibration.txt, paragraphs joined from them, and sequences of random
tokens of the vocabulary, so that words that the text lacks are seen too. None of the gate's sentences is among them.
"""

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from gate import gate_sentences

CALIBRATION = Path(__file__).with_name('calibration.txt')
CLS, SEP = 101, 102
FIRST_WORD = 1996  # 'the': special tokens, single characters and [unused] come before it
HELD_OUT = 5  # every fifth line is not calibrated on, but serves to choose between variants


def calibration_lines() -> list[str]:
    lines = CALIBRATION.read_text(encoding='utf-8').splitlines()
    shared = set(lines) & set(gate_sentences())
    if shared:
        raise SystemExit(f'calibration.txt repeats sentences of the quality gate: {sorted(shared)}')
    return lines


def held_out_sequences(tokenizer: Tokenizer) -> list[list[int]]:
    return [tokenizer.encode(line).ids for line in calibration_lines()[::HELD_OUT]]


def calibration_sequences(tokenizer: Tokenizer) -> list[list[int]]:
    lines = [line for index, line in enumerate(calibration_lines()) if index % HELD_OUT]
    generator = np.random.Generator(np.random.PCG64(20261121))
    sequences = [tokenizer.encode(line).ids for line in lines]
    for per_paragraph in (2, 4, 8):
        for _ in range(2):
            shuffled = [lines[i] for i in generator.permutation(len(lines))]
            for start in range(0, len(lines), per_paragraph):
                sequences.append(tokenizer.encode(' '.join(shuffled[start : start + per_paragraph])).ids)
    size = tokenizer.get_vocab_size()
    for source, count in ((generator, 300), (np.random.Generator(np.random.PCG64(7)), 700)):
        for _ in range(count):
            length = int(source.integers(3, 24))
            sequences.append([CLS, *(int(i) for i in source.integers(FIRST_WORD, size, length)), SEP])
    return sequences
