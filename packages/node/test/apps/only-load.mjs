import { env, pipeline } from '@huggingface/transformers'

const { version, useCustomCache, customCache, remoteHost, remotePathTemplate, useFSCache } = env
const values = { version, useCustomCache, customCache, remoteHost, remotePathTemplate, useFSCache }
console.log(JSON.stringify({ ...values, fetch: env.fetch?.name, name: pipeline.name }))
