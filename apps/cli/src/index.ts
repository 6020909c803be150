export { toOutput, type Io, type Output } from './io.ts'
export { main } from './main.ts'
export { runCli } from './run-cli.ts'
