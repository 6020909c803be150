"""
Records the embeddings of the fp32 original for the sentences of the quality gate, with the original's own runtime:
sentence-transformers on PyTorch. Needs requirements-reference.txt. Run once; the build does not need it.
"""

import base64
import json

import numpy as np
import sentence_transformers
import torch
import transformers
from sentence_transformers import SentenceTransformer

from gate import QUALITY, gate_sentences
from original import WEIGHTS_SHA256, original_directory, read_checked


def main() -> None:
    read_checked('model.safetensors', WEIGHTS_SHA256)
    torch.set_num_threads(1)
    model = SentenceTransformer(str(original_directory()), device='cpu')
    sentences = gate_sentences()
    # One at a time, so that no padding is involved.
    embeddings = model.encode(sentences, batch_size=1, convert_to_numpy=True).astype('<f4')
    assert embeddings.shape == (len(sentences), 384)
    assert np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    document = {
        'model': 'sentence-transformers/all-MiniLM-L6-v2',
        'weightsSha256': WEIGHTS_SHA256,
        'runtime': {
            'sentence-transformers': sentence_transformers.__version__,
            'transformers': transformers.__version__,
            'torch': torch.__version__.split('+')[0],
        },
        'maxTokens': model.max_seq_length,
        'dimensions': 384,
        'encoding': 'base64 of little-endian float32, one embedding after another',
        'order': (
            'a and b of pairs.json, then anchor, paraphrase and distractor of triples.json and of triples-plain.json'
        ),
        'count': len(sentences),
        'embeddings': base64.b64encode(embeddings.tobytes()).decode('ascii'),
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + '\n'
    (QUALITY / 'reference.json').write_text(text, encoding='utf-8', newline='\n')
    print(f'{len(sentences)} embeddings, {len(text)} bytes')


if __name__ == '__main__':
    main()
