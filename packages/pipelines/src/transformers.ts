export type Transformers = typeof import('@huggingface/transformers')
