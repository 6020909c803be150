import type { JSX } from 'preact'

import { Fact } from '../../parts/fact.tsx'
import { device } from '../../state/device.ts'

/** On what models run here. */
export function DeviceFacts(): JSX.Element | null {
  if (!device.value) return null
  const { webgpu, threads, streamedWeights } = device.value
  return (
    <section class="card stack" aria-labelledby="device-title">
      <h2 id="device-title">This browser</h2>
      <ul class="plain facts-list">
        <Fact good={webgpu.works} title="WebGPU">
          {webgpu.detail}
        </Fact>
        <Fact good={threads.works} title="Threads">
          {threads.detail}
        </Fact>
        <Fact good={streamedWeights.works} title="Weights from the disk">
          {streamedWeights.detail}
        </Fact>
      </ul>
    </section>
  )
}
