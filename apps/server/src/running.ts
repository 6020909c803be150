// What finds servers that run on this machine, and asks them: light, without what serves.
export { listRunFiles, writeRunFile, type RunFile } from './running/run-file.ts'
export {
  createServerClient,
  ServerError,
  type LoadReport,
  type ServerClient,
  type ServerReport,
} from './running/server-client.ts'
export { readTokenFile } from './token-file.ts'
