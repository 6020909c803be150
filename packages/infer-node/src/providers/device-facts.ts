import { readdirSync, readFileSync, statSync } from 'node:fs'
import { cpus, release } from 'node:os'
import path from 'node:path'

/** What chooses a device or a driver, of the libraries behind the execution providers. */
const VARIABLES = [
  'CUDA_VISIBLE_DEVICES',
  'NVIDIA_VISIBLE_DEVICES',
  'HIP_VISIBLE_DEVICES',
  'VK_DRIVER_FILES',
  'VK_ICD_FILENAMES',
  'VK_ADD_DRIVER_FILES',
  'LD_LIBRARY_PATH',
  'DYLD_LIBRARY_PATH',
]

/**
 * The devices and drivers of this machine, as far as files tell: what decides the last bits of what is not computed on the
 * processor. Of Windows and macOS only the system's version and the processor are known.
 */
export function deviceFacts(): string[] {
  const variables = VARIABLES.map((name) => `${name}=${process.env[name] ?? ''}`)
  return [process.platform, process.arch, release(), cpus()[0]?.model ?? '', ...variables, ...linuxDevices()]
}

/** What else decides whether a provider works: the libraries that are beside the runtime, and those that the system finds. */
export function libraryFacts(entry: string): string[] {
  const binaries = path.join(entry, '..', '..', 'bin', 'napi-v6', process.platform, process.arch)
  const beside = namesIn(binaries).map((name) => stamp(path.join(binaries, name)))
  return [...beside, stamp('/etc/ld.so.cache')]
}

function linuxDevices(): string[] {
  if (process.platform !== 'linux') return []
  const nvidia = '/proc/driver/nvidia'
  const cards = '/sys/class/drm'
  return [
    textOf(path.join(nvidia, 'version')),
    ...namesIn(path.join(nvidia, 'gpus')).map((gpu) => textOf(path.join(nvidia, 'gpus', gpu, 'information'))),
    ...namesIn(cards)
      .filter((name) => /^(?:card|renderD)\d+$/.test(name))
      .map(
        (card) =>
          `${card} ${['vendor', 'device'].map((part) => textOf(path.join(cards, card, 'device', part)).trim()).join()}`,
      ),
    ...namesIn('/usr/share/vulkan/icd.d'),
    ...namesIn('/etc/vulkan/icd.d'),
  ]
}

// What is not there, or may not be read, is a fact too, each another one: the same next time.

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).toSorted()
  } catch (cause) {
    return [whyNot(cause)]
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    return whyNot(cause)
  }
}

function stamp(file: string): string {
  try {
    const { size, mtimeMs } = statSync(file)
    return `${file} ${size} ${Math.trunc(mtimeMs)}`
  } catch (cause) {
    return `${file} ${whyNot(cause)}`
  }
}

/** The system's name of what failed: `ENOENT`, `EACCES`. */
const whyNot = (cause: unknown): string =>
  cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
