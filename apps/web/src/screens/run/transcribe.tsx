import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

import { Icon } from '../../parts/icon.tsx'
import { ErrorNotice } from '../../parts/notice.tsx'
import type { StoredModel } from '../../state/models.ts'
import { startRun } from '../../state/run.ts'
import { sampleRateOf } from '../../state/sample-rate-of.ts'
import { samplesOf } from '../../state/samples-of.ts'
import { RunStatus } from './run-status.tsx'

/** What is said in a recording. */
export function Transcribe({ model }: { model: StoredModel }): JSX.Element {
  const text = useSignal<string | undefined>(undefined)
  const problem = useSignal<unknown>(undefined)
  const isRecording = useSignal(false)
  const recorder = useRef<MediaRecorder | undefined>(undefined)
  const stop = (): void => recorder.current?.stop()
  const isLeft = useRef(false)
  // The microphone is off when the screen is left.
  useEffect(
    () => () => {
      isLeft.current = true
      stop()
    },
    [],
  )
  const transcribe = async (sound: Blob, title: string): Promise<void> => {
    try {
      text.value = undefined
      problem.value = undefined
      const samples = await samplesOf(sound, await sampleRateOf(model.cid))
      const results = await startRun('automatic-speech-recognition', { model, inputs: [samples], title })
      text.value = results?.[0]?.output.text.trim()
    } catch (error) {
      problem.value = error
    }
  }
  const record = async (): Promise<void> => {
    let stream: MediaStream | undefined
    const endStream = (): void => {
      for (const track of stream?.getTracks() ?? []) track.stop()
    }
    try {
      problem.value = undefined
      stream = await navigator.mediaDevices.getUserMedia({ audio: true })
      // It was allowed when nobody waited for it any more.
      if (isLeft.current) return endStream()
      const taking = new MediaRecorder(stream)
      recorder.current = taking
      const pieces: Blob[] = []
      taking.addEventListener('dataavailable', ({ data }) => void pieces.push(data))
      taking.addEventListener('stop', () => {
        endStream()
        recorder.current = undefined
        isRecording.value = false
        // Who leaves has not asked for what was said.
        if (isLeft.current) return
        void transcribe(new Blob(pieces, { type: taking.mimeType }), 'Transcribe a recording')
      })
      taking.start()
      isRecording.value = true
    } catch (error) {
      endStream()
      problem.value = error
    }
  }
  return (
    <>
      <section class="card stack" aria-label="A recording">
        <div class="row">
          <label class="button primary">
            <Icon name="folder" />
            Choose a recording
            <input
              type="file"
              accept="audio/*"
              class="sr-only"
              onChange={({ currentTarget: { files } }) => {
                if (files?.[0]) void transcribe(files[0], `Transcribe ${files[0].name}`)
              }}
            />
          </label>
          {'mediaDevices' in navigator && (
            <button
              type="button"
              aria-pressed={isRecording.value}
              onClick={() => (isRecording.value ? stop() : void record())}
            >
              <Icon name={isRecording.value ? 'stop' : 'sound'} />
              {isRecording.value ? 'Stop recording' : 'Record'}
            </button>
          )}
        </div>
        {problem.value !== undefined && <ErrorNotice error={problem.value} />}
        <RunStatus />
      </section>
      {text.value !== undefined && (
        <section class="card stack" aria-labelledby="said-title">
          <h2 id="said-title">What was said</h2>
          <p>{text.value === '' ? 'The model heard no words.' : text.value}</p>
        </section>
      )}
    </>
  )
}
