"""
Quantises the embedding tables. Every word gets 4 bits per value; the words that English text uses most get 6. The
vocabulary is in order of frequency from token 1996 on, so the most used are those with the lowest ids.
"""

from dataclasses import dataclass

import numpy as np

BLOCK = 128
CLIPS = (1.0, 0.96, 0.92, 0.88, 0.84, 0.8, 0.76, 0.72)
SPECIAL = range(100, 104)  # [UNK] [CLS] [SEP] [MASK]
ASCII = range(999, 1064)  # punctuation, digits and letters
FIRST_WORD = 1996


@dataclass(frozen=True)
class Table:
    """value = code * scale + minimum, one scale and one minimum per BLOCK codes of a row."""

    codes: np.ndarray  # uint8 [rows, width]
    scales: np.ndarray  # float16 [rows, width / BLOCK]
    minima: np.ndarray  # float16 [rows, width / BLOCK]

    def values(self) -> np.ndarray:
        rows, width = self.codes.shape
        codes = self.codes.reshape(rows, width // BLOCK, BLOCK).astype(np.float32)
        scales, minima = (x[:, :, None].astype(np.float32) for x in (self.scales, self.minima))
        return (codes * scales + minima).reshape(rows, width)


def fit_table(table: np.ndarray, importance: np.ndarray, codes: np.ndarray) -> Table:
    """
    table: [rows, width]; importance: [width]; codes: the codes that may be used, evenly spaced. The range of each block
    is shrunk from either end to where the weighted squared error is least.
    """
    rows, width = table.shape
    blocks = table.astype(np.float64).reshape(rows, width // BLOCK, BLOCK)
    weight = importance.reshape(1, width // BLOCK, BLOCK)
    low, high = blocks.min(axis=2), blocks.max(axis=2)
    spacing, last = int(codes[1] - codes[0]), int(codes[-1])
    best = np.full(low.shape, np.inf)
    result = None
    for clip_low in CLIPS:
        for clip_high in CLIPS:
            minimum = (low * clip_low).astype(np.float16)
            scale = np.maximum((high * clip_high - minimum) / last, 1e-6).astype(np.float16)
            start, step = minimum.astype(np.float64)[:, :, None], scale.astype(np.float64)[:, :, None]
            rounded = np.clip(np.rint((blocks - start) / (step * spacing)) * spacing, 0, last)
            error = (np.square(rounded * step + start - blocks) * weight).sum(axis=2)
            better = error < best
            best = np.where(better, error, best)
            if result is None:
                result = [rounded.astype(np.uint8), scale, minimum]
            else:
                result[0][better] = rounded[better].astype(np.uint8)
                result[1][better] = scale[better]
                result[2][better] = minimum[better]
    return Table(result[0].reshape(rows, width), result[1], result[2])


def refined_rows(frequent: int) -> np.ndarray:
    """Ids of the rows that get 6 bits."""
    return np.array([*SPECIAL, *ASCII, *range(FIRST_WORD, FIRST_WORD + frequent)])


def quantise_words(table: np.ndarray, importance: np.ndarray, frequent: int) -> Table:
    """Codes of 6 bits; those of rows that are not refined are multiples of 4."""
    coarse = fit_table(table, importance, np.arange(0, 61, 4))
    rows = refined_rows(frequent)
    fine = fit_table(table[rows], importance, np.arange(64))
    for whole, part in zip((coarse.codes, coarse.scales, coarse.minima), (fine.codes, fine.scales, fine.minima)):
        whole[rows] = part
    return coarse


def quantise_positions(table: np.ndarray, importance: np.ndarray) -> Table:
    return fit_table(table, importance, np.arange(256))
