/** Headers of answers, and what they say. */
export const HEADERS = {
  'x-request-id': 'of this request: what it said itself, or a UUID',
  'x-ipfs-accelerate-model': 'the CID of the model',
  'x-ipfs-accelerate-receipt':
    'the CID of the receipt, or of a list of receipts; GET /receipts/{cid} has it for a while',
  'x-ipfs-accelerate-from':
    'computed, memory, disk, joined or remote; of several results that differ, mixed and how many of each',
  'x-ipfs-accelerate-endpoint': 'who computed it, where that was not here',
  'x-ipfs-accelerate-truncated': 'how many inputs were cut, where any was',
  'x-compute-characters': 'characters that were read',
  'x-compute-tokens': 'tokens that were read, where they were counted',
  'inference-header-content-length': 'bytes of the JSON, behind which tensors stand',
} as const

export type HeaderName = keyof typeof HEADERS

/** Of what answers with results. */
export const RESULT_HEADERS: readonly HeaderName[] = [
  'x-ipfs-accelerate-model',
  'x-ipfs-accelerate-receipt',
  'x-ipfs-accelerate-from',
  'x-ipfs-accelerate-endpoint',
  'x-ipfs-accelerate-truncated',
]

/** Of what answers as text-embeddings-inference does. */
export const TEI_HEADERS: readonly HeaderName[] = [...RESULT_HEADERS, 'x-compute-characters', 'x-compute-tokens']
