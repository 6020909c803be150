import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

import { Icon } from '../../parts/icon.tsx'
import { ErrorNotice } from '../../parts/notice.tsx'
import type { StoredModel } from '../../state/models.ts'
import { startRun } from '../../state/run.ts'
import { Labels, type Labelled } from './labels.tsx'
import { RunStatus } from './run-status.tsx'

/** What is on a picture of the user's, or in front of the camera. */
export function ClassifyImage({ model }: { model: StoredModel }): JSX.Element {
  const picture = useSignal<string | undefined>(undefined)
  const labels = useSignal<readonly Labelled[] | undefined>(undefined)
  const problem = useSignal<unknown>(undefined)
  const stream = useSignal<MediaStream | undefined>(undefined)
  const video = useRef<HTMLVideoElement>(null)
  const close = (): void => {
    for (const track of stream.value?.getTracks() ?? []) track.stop()
    stream.value = undefined
  }
  const isLeft = useRef(false)
  // The camera is off when the screen is left.
  useEffect(
    () => () => {
      isLeft.current = true
      close()
    },
    [],
  )
  useEffect(() => {
    if (video.current) video.current.srcObject = stream.value ?? null
  }, [stream.value])
  const classify = async (image: Blob, title: string): Promise<void> => {
    labels.value = undefined
    if (picture.value !== undefined) URL.revokeObjectURL(picture.value)
    picture.value = URL.createObjectURL(image)
    const results = await startRun('image-classification', { model, inputs: [image], title, options: { top_k: 5 } })
    if (results) labels.value = results[0]?.output
  }
  const openCamera = async (): Promise<void> => {
    try {
      problem.value = undefined
      const opened = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } })
      stream.value = opened
      // It was allowed when nobody looked at this any more.
      if (isLeft.current) close()
    } catch (error) {
      problem.value = error
    }
  }
  const shoot = async (): Promise<void> => {
    const frame = video.current
    if (!frame) return
    const canvas = new OffscreenCanvas(frame.videoWidth, frame.videoHeight)
    canvas.getContext('2d')?.drawImage(frame, 0, 0)
    const image = await canvas.convertToBlob({ type: 'image/png' })
    close()
    await classify(image, 'Classify a picture of the camera')
  }
  return (
    <>
      <section class="card stack" aria-label="A picture">
        <div class="row">
          <label class="button primary">
            <Icon name="image" />
            Choose a picture
            <input
              type="file"
              accept="image/*"
              class="sr-only"
              onChange={({ currentTarget: { files } }) => {
                if (files?.[0]) void classify(files[0], `Classify ${files[0].name}`)
              }}
            />
          </label>
          {'mediaDevices' in navigator && !stream.value && (
            <button type="button" onClick={() => void openCamera()}>
              Use the camera
            </button>
          )}
          {stream.value && (
            <>
              <button type="button" class="primary" onClick={() => void shoot()}>
                Take the picture
              </button>
              <button type="button" onClick={close}>
                Close the camera
              </button>
            </>
          )}
        </div>
        {problem.value !== undefined && <ErrorNotice error={problem.value} />}
        {stream.value && <video ref={video} class="picture" autoplay playsinline muted />}
        {picture.value !== undefined && !stream.value && <img class="picture" src={picture.value} alt="Your picture" />}
        <RunStatus />
      </section>
      {labels.value && <Labels labels={labels.value} />}
    </>
  )
}
