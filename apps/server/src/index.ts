export type { AdmissionOptions } from './admission.ts'
export type { Cors } from './cors.ts'
export {
  startServer,
  type CloseServerOptions,
  type ModelToServe,
  type RunningServer,
  type StartServerOptions,
} from './start-server.ts'
export { readTokenFile } from './token-file.ts'
export { parseTokens, type Token, type TokenScope } from './tokens.ts'
