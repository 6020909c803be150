import { env, pipeline } from '@huggingface/transformers'

console.log(JSON.stringify({ version: env.version, useCustomCache: env.useCustomCache, name: pipeline.name }))
