export type { ServeInferenceOptions, WebPlatform } from './worker/platform.ts'
export { serveInference } from './worker/serve-inference.ts'
