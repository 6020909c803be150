import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

import { pythonOf } from '../../../tooling/python/environments.ts'
import { missingPython } from '../../../tooling/python/python-or-skip.ts'

const python = pythonOf('model-signing')

/** Why tests that need it cannot run; `undefined` when they can. */
export const noPython: string | undefined = missingPython('model-signing')

/** What imports take on a busy machine, and more. */
const PYTHON_TIMEOUT_MS = 200_000

export interface Ran {
  ok: boolean
  output: string
}

export function runPython(args: string[], input: string): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(python, args, { timeout: PYTHON_TIMEOUT_MS }, (error, stdout, stderr) => {
      resolve({ ok: error === null, output: stdout + stderr })
    })
    child.stdin?.end(input)
  })
}

/** Runs the command line once for each line of arguments, in one process: to start it takes longer than to sign. */
const COMMANDS = `
import json, sys
from click.testing import CliRunner
from model_signing._cli import main
for line in sys.stdin:
    result = CliRunner().invoke(main, json.loads(line))
    print(json.dumps({"ok": result.exit_code == 0, "output": result.output}), flush=True)
`

export interface SigningTool {
  /** `model_signing`, with these arguments. One at a time. */
  run: (...args: string[]) => Promise<Ran>
  close: () => Promise<void>
}

export function openSigningTool(): SigningTool {
  const child = spawn(python, ['-c', COMMANDS], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exit = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async run(...args) {
      child.stdin.write(`${JSON.stringify(args)}\n`)
      const { value, done } = await lines.next()
      if (done) throw new Error('model_signing has ended')
      return JSON.parse(value)
    },
    async close() {
      child.stdin.end()
      await exit
    },
  }
}
