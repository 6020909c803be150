import { fileURLToPath } from 'node:url'

import { modelDirectory } from '@x/embedded-model'
import type { AddedModel } from '@x/model-loader'
import { addModel } from '@x/node'
import type { AbortOptions, ContentStore } from '@x/storage-core'

/** What the model that comes with the command line is called elsewhere. */
export const EMBEDDED_NAME = 'sentence-transformers/all-MiniLM-L6-v2'

/** Adds the model that comes with the command line; one that is there is hashed again, and kept once. */
export const addEmbeddedModel = (
  store: ContentStore,
  options: AbortOptions & { name?: string | undefined },
): Promise<AddedModel> => addModel(store, fileURLToPath(modelDirectory), options)
