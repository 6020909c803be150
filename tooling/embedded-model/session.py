"""Runs a sentence encoder in ONNX form on the CPU and pools as the original does."""

from pathlib import Path

import numpy as np
import onnxruntime

from encoder import WIDTH


def open_session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])


def run_batch(session: onnxruntime.InferenceSession, sequences: list[list[int]]) -> np.ndarray:
    """Sentence embeddings [count, 384] of one batch, padded to its longest sequence."""
    length = max(map(len, sequences))
    ids = np.zeros((len(sequences), length), np.int64)
    mask = np.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    feeds = {'input_ids': ids, 'attention_mask': mask, 'token_type_ids': np.zeros_like(ids)}
    (hidden,) = session.run(['last_hidden_state'], feeds)
    kept = mask[:, :, None].astype(np.float32)
    mean = (hidden * kept).sum(axis=1) / kept.sum(axis=1)
    assert mean.shape == (len(sequences), WIDTH)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def run_each(session: onnxruntime.InferenceSession, sequences: list[list[int]]) -> np.ndarray:
    return np.concatenate([run_batch(session, [sequence]) for sequence in sequences])


def run_padded(session: onnxruntime.InferenceSession, sequences: list[list[int]], batch: int) -> np.ndarray:
    parts = [run_batch(session, sequences[start : start + batch]) for start in range(0, len(sequences), batch)]
    return np.concatenate(parts)
