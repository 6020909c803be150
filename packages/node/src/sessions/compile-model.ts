import { execFile } from 'node:child_process'
import path from 'node:path'

import { REPORTS_NOTHING } from './load-runtime.ts'

export interface CompileOptions {
  /** The main file of onnxruntime-node. */
  runtime: string
  /** The graph. */
  source: string
  /** Where the compiled graph goes; its weights go beside it, into `data`. */
  target: string
  data: string
  /** Of the optimisations, which are part of what is compiled. */
  level: unknown
}

/**
 * ONNX Runtime aligns what it writes beside a graph above this size alone, and its kernels crash on prepacked weights that
 * are not aligned: seen with 1.24 and 1.30 on weights of 200 x 200 and 500 x 500. Smaller ones stay in the graph, and are
 * packed at every load. Bytes.
 */
const ALIGNED_FROM = 1024 * 1024 + 1

/** What the process ends with when it was ONNX Runtime, or the comparison, that said no. Node has no such code of its own. */
const REFUSED = 100
/** What the process prints before it runs what it compiled. */
const TRIAL = 'trial'

/** Runs in a process of its own: compiles, then runs what it made, with ones for inputs, against the original. */
const PROGRAM = `
  const { runtime, source, target, data, level } = JSON.parse(process.argv[1])
  const { InferenceSession, Tensor } = require(runtime)
  const extra = {
    session: {
      save_external_prepacked_constant_initializers: '1',
      optimized_model_external_initializers_file_name: data,
      optimized_model_external_initializers_min_size_in_bytes: '${ALIGNED_FROM}',
    },
  }
  const options = { graphOptimizationLevel: level, executionProviders: ['cpu'], logSeverityLevel: 3 }
  const arrays = { float32: Float32Array, float64: Float64Array, int64: BigInt64Array, int32: Int32Array, uint8: Uint8Array }
  const onesFor = ({ name, type, shape }) => {
    const dims = shape.map((dim) => (typeof dim === 'number' ? dim : 3))
    const length = dims.reduce((product, dim) => product * dim, 1)
    if (type === 'bool') return new Tensor('bool', new Uint8Array(length), dims)
    if (!arrays[type]) throw new Error('it could not be tried: the input ' + name + ' is of type ' + type)
    return new Tensor(type, new arrays[type](length).fill(type === 'int64' ? 1n : 1), dims)
  }
  const outcome = async (session) => {
    const feeds = Object.fromEntries(session.inputMetadata.map((input) => [input.name, onesFor(input)]))
    const outputs = await session.run(feeds)
    return Object.values(outputs).map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength))
  }
  async function main() {
    const original = await InferenceSession.create(source, { ...options, optimizedModelFilePath: target, extra })
    const expected = await outcome(original)
    await original.release()
    require('node:fs').writeSync(1, '${TRIAL}')
    const compiled = await InferenceSession.create(target, options)
    const given = await outcome(compiled)
    await compiled.release()
    if (!expected.every((bytes, index) => bytes.equals(given[index]))) throw new Error('it gives another answer')
  }
  main().catch((error) => {
    process.stderr.write(String(error && error.message))
    process.exit(${REFUSED})
  })
`

/** Ways of a kernel to end its process, by signal and, on Windows, by status: illegal access, illegal instruction. */
const CRASHES = new Set<unknown>(['SIGSEGV', 'SIGILL', 'SIGBUS', 'SIGABRT', 0xc0000005, 0xc000001d])

/**
 * What ONNX Runtime, the system and Node say where the disk or the memory was full, or too many files were open. Whole phrases,
 * which stand in no name of a node, a type or a source file: `memory_attention`, `IAllocator`, `allocation_planner.cc`.
 */
const PASSING = new RegExp(
  [
    'serialization failed',
    'failed to write',
    '(?:failed to|cannot) open file',
    // Any call of the system on a file.
    'file ".*" failed',
    'no space left on device',
    'not enough space on the disk',
    'disk quota exceeded',
    'input/output error',
    'too many open files',
    'std::bad_alloc',
    'bad allocation',
    'out of memory',
    'cannot allocate memory',
    'failed to allocate (?:memory|\\d+ bytes)',
    '(?:memory|buffer) allocation failed',
    'allocation of memory pattern buffer',
    'not enough memory resources',
    'paging file is too small',
  ].join('|'),
  'i',
)

/**
 * Writes a graph with its weights as the kernels of this machine want them, so that they are mapped and not packed at every
 * load. In a process of its own, and tried there once: what makes a kernel crash nobody could catch.
 *
 * @returns `undefined` when it is done and gives the bits of the original; else why it can never be had: ONNX Runtime
 *   refused, what it made gives another answer, or crashed.
 * @throws {Error} It could not be found out this time: the process was not started, was ended from outside, or had no room.
 * @see https://onnxruntime.ai/docs/performance/model-optimizations/graph-optimizations.html
 */
export async function compileModel(options: CompileOptions): Promise<string | undefined> {
  // Native code that parses a model of anybody's: no tokens, no hook, no debugger's port, which is taken.
  const env = {
    ...environmentOf(process.env),
    [REPORTS_NOTHING]: process.env[REPORTS_NOTHING] ?? '1',
    ELECTRON_RUN_AS_NODE: '1',
  }
  return new Promise((resolve, reject) => {
    const args = ['-e', PROGRAM, JSON.stringify(options)]
    execFile(process.execPath, args, { env, windowsHide: true }, (error, stdout, stderr) => {
      if (error === null) return resolve(undefined)
      const said = stderr.trim()
      const how = error.signal ? `ended by ${error.signal}` : said || error.message
      const isNo = error.code === REFUSED || (stdout.includes(TRIAL) && CRASHES.has(error.signal ?? error.code))
      if (isNo && !PASSING.test(withoutPaths(said, options)))
        return resolve(`ONNX Runtime could not prepack it: ${how}`)
      reject(new Error(`ONNX Runtime could not prepack it this time: ${how}`, { cause: error }))
    })
  })
}

/** The directories can have any name: one that is called `out of memory` says nothing. */
function withoutPaths(said: string, { runtime, source, target }: CompileOptions): string {
  const directories = [runtime, source, target]
    .filter((file) => path.isAbsolute(file))
    .map((file) => path.dirname(file))
  return directories.reduce((rest, directory) => rest.replaceAll(directory, ''), said)
}

/** What a program without a network needs of an environment: where its libraries and its temporary files lie. */
const NEEDED =
  /^(?:PATH|HOME|TMPDIR|TEMP|TMP|SYSTEMROOT|WINDIR|USERPROFILE|LANG|LC_\w+|LD_LIBRARY_PATH|DYLD_\w+|OMP_\w+)$/i

const environmentOf = (all: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(all).filter(([name]) => NEEDED.test(name)))
