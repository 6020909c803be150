import { parentPort } from 'node:worker_threads'

import { thisProcess } from '../../src/process-identity.ts'

// Who a thread of its own says it is.
parentPort?.postMessage(thisProcess(), [])
