/** What a run proves about its result, by name (`root`, `sha256`, …). Jobs of one question must agree wherever they name the same thing. */
export type Evidence = Readonly<Record<string, string>>

/** What a job says of itself, as the last line of its stdout. */
export interface JobResult {
  evidence: Evidence
  /** Wall time of the work alone, without the start of the process and its imports. Absent for a plain command. */
  seconds?: number
  /** Other figures, in seconds unless the name says otherwise. */
  figures?: Readonly<Record<string, number>>
}

/** One fresh process. */
export interface Job {
  name: string
  /** @param check - The uncounted first run, which hashes all that the job gives back. */
  command(check: boolean): readonly [program: string, ...args: string[]]
  env?: Readonly<Record<string, string>>
  /** Files and folders that it reads: brought into the page cache before every run, untimed. */
  reads?: readonly string[]
  /** Untimed, before every run. */
  before?(): Promise<void>
  /** Untimed, after every run. */
  result(stdout: string, check: boolean): Promise<JobResult>
  after?(): Promise<void>
}

/** One of several times that a job takes. */
export interface FigureOf {
  job: string
  /** A name in `figures`. */
  figure: string
}

/** What a figure is, for a person. */
export type Unit = 'seconds' | 'ratio' | 'count' | 'MB'

export type Target =
  | {
      type: 'faster'
      label: string
      ours: string | FigureOf
      /** Names of jobs, or figures of them; the one with the best median counts. None: no such peer here. */
      peers: readonly (string | FigureOf)[]
      /** How many times faster ours shall be. Absent: reported only. */
      atLeast?: number
      /**
       * `work`: the time that both report of themselves. `process`: whole processes, for a peer that is a command and
       * has no other. Default: `work` where both report it. Of figures, the figures.
       */
      basis?: 'work' | 'process'
      /** Why there is no such peer. */
      absent?: string
    }
  | {
      type: 'at-most'
      label: string
      job: string
      /** A name in `figures`, or `work`, or `peakBytes`. */
      figure: string
      /** Absent: reported only. */
      atMost?: number
      /** Default seconds, or bytes for `peakBytes`. */
      unit?: Unit
    }
  | {
      type: 'flat'
      label: string
      small: string
      large: string
      /** A name in `figures`. Default `peakBytes`. */
      figure?: string
      /** Absent: reported only. */
      atMost?: number
    }

/** Figures of jobs side by side; the median of the rounds. */
export interface FigureTable {
  title: string
  /** Default: those that have one of the figures. */
  jobs?: readonly string[]
  columns: readonly { label: string; figure: string; unit: Unit }[]
}

export interface Plan {
  jobs: readonly Job[]
  targets: readonly Target[]
  tables?: readonly FigureTable[]
  /** What is known of the right result beforehand. */
  expected: Evidence
  /** Removes what the preparation made. */
  done?: () => Promise<void>
}

export interface Question {
  /** Of its folder; a part of a question has its own name after a slash. */
  name: string
  title: string
  /** Rounds, where the default of 5 would take long. `--rounds` wins. */
  rounds?: number
  /** Makes the input, and stores to read from. */
  prepare(workspace: Workspace): Promise<Plan>
}

export interface InputFile {
  path: string
  bytes: number
  /** Hex. */
  sha256: string
}

export interface InputDirectory {
  path: string
  files: number
  /** Digest over the sorted `sha256  name` lines. Hex. */
  manifest: string
}

export interface Workspace {
  /** Bytes of the main input, as `--bytes` has it. */
  readonly bytes: number
  /** Entries of the questions about many roots, files or texts, as `--entries` has it. */
  readonly entries: number | undefined
  /** Path of a Kubo. */
  readonly kubo: string | undefined
  /** A path inside the folder that goes at the end. */
  path(name: string): string
  /** Bytes that look random and are the same everywhere; made once a run. */
  file(bytes?: number): Promise<InputFile>
  directory(files: number): Promise<InputDirectory>
  /** A job that is one of our scripts. `durable`: writes; starts with no dirty pages of others, and `output` is removed. */
  script(name: string, url: URL, parameters: object, options?: ScriptOptions): Job
  /** Runs a job once, uncounted and with `check`, and leaves what it made. */
  once(job: Job): Promise<JobResult>
}

export interface ScriptOptions {
  /** Folder or file that the job makes. Removed before and after each run, with a `sync` before. */
  output?: string
  /** Set before the names of what the job proves, where another job proves the same of another input. */
  scope?: string
  /** What runs the script, as it is. Default: Node. */
  program?: string
}
