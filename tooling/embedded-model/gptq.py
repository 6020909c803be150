"""
Error-compensating rounding (GPTQ, https://arxiv.org/abs/2210.17323) of one matrix to blocks of small integers.

Everything is float64 and sequential per row, so the result does not depend on the number of threads.
"""

from dataclasses import dataclass

import numpy as np

# Fractions of a block's range that are tried as its quantisation range.
CLIPS = (1.0, 0.97, 0.94, 0.9, 0.86, 0.82, 0.78, 0.73, 0.68)


@dataclass(frozen=True)
class Blocks:
    """value = (code - zero) * scale, one zero and one scale per `block` codes along a row."""

    bits: int
    block: int
    codes: np.ndarray  # uint8 [rows, columns]
    scales: np.ndarray  # float16 [rows, columns / block]
    zeros: np.ndarray  # uint8 [rows, columns / block]

    def values(self) -> np.ndarray:
        rows, columns = self.codes.shape
        codes = self.codes.reshape(rows, columns // self.block, self.block).astype(np.float32)
        centred = codes - self.zeros[:, :, None].astype(np.float32)
        return (centred * self.scales[:, :, None].astype(np.float32)).reshape(rows, columns)


def fit_blocks(matrix: np.ndarray, importance: np.ndarray, bits: int, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Scales (float16) and zeros of each block, of all CLIPS those with the least weighted squared error."""
    rows, columns = matrix.shape
    levels = 2**bits - 1
    blocks = matrix.reshape(rows, columns // block, block)
    weight = importance.reshape(1, columns // block, block)
    low = np.minimum(blocks.min(axis=2), 0)
    high = np.maximum(blocks.max(axis=2), 0)
    best = np.full(low.shape, np.inf)
    scales = np.ones(low.shape, np.float16)
    zeros = np.zeros(low.shape, np.uint8)
    for clip in CLIPS:
        scale = np.maximum((high - low) * clip / levels, 1e-6).astype(np.float16)
        step = scale.astype(np.float64)
        zero = np.clip(np.rint(-low * clip / step), 0, levels)
        codes = np.clip(np.rint(blocks / step[:, :, None]) + zero[:, :, None], 0, levels)
        error = (np.square((codes - zero[:, :, None]) * step[:, :, None] - blocks) * weight).sum(axis=2)
        better = error < best
        best = np.where(better, error, best)
        scales = np.where(better, scale, scales)
        zeros = np.where(better, zero, zeros).astype(np.uint8)
    return scales, zeros


def inverse_factor(hessian: np.ndarray) -> np.ndarray:
    """Upper U with U^T U = hessian^-1."""
    return np.linalg.cholesky(np.linalg.inv(hessian)).T


def quantise(matrix: np.ndarray, hessian: np.ndarray, bits: int, block: int, damping: float = 0.01) -> Blocks:
    """matrix: [rows, columns]; hessian: second moments of the inputs, [columns, columns]."""
    rows, columns = matrix.shape
    hessian = hessian.astype(np.float64)
    hessian = hessian + np.eye(columns) * damping * np.diag(hessian).mean()
    importance = np.diag(hessian)
    scales, zeros = fit_blocks(matrix.astype(np.float64), importance, bits, block)

    # The columns with the strongest inputs are rounded first, while there are still columns that can make up for them.
    order = np.argsort(-importance, kind='stable')
    group = order // block
    step = scales.astype(np.float64)[:, group]
    zero = zeros.astype(np.float64)[:, group]
    rest = matrix.astype(np.float64)[:, order]
    factor = inverse_factor(hessian[np.ix_(order, order)])
    codes = np.zeros((rows, columns))
    levels = 2**bits - 1
    batch = 64
    for start in range(0, columns, batch):
        stop = min(start + batch, columns)
        errors = np.zeros((rows, stop - start))
        for column in range(start, stop):
            code = np.clip(np.rint(rest[:, column] / step[:, column]) + zero[:, column], 0, levels)
            codes[:, column] = code
            rounded = (code - zero[:, column]) * step[:, column]
            errors[:, column - start] = (rest[:, column] - rounded) / factor[column, column]
            rest[:, column + 1 : stop] -= np.outer(errors[:, column - start], factor[column, column + 1 : stop])
        rest[:, stop:] -= errors @ factor[start:stop, stop:]
    unordered = np.zeros((rows, columns), np.uint8)
    unordered[:, order] = codes.astype(np.uint8)
    return Blocks(bits, block, unordered, scales, zeros)
