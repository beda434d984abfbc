// One call's sound: a socket to the simulated Twilio, the microphone into it, what is heard out of it.
const HZ = 8000;

async function microphoneOf(context) {
  const wanted = { audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } };
  const stream = await navigator.mediaDevices.getUserMedia(wanted);
  return { stream, source: context.createMediaStreamSource(stream) };
}

// Begins a call. `onEnd` is called once it is over, whoever ended it; `hasMicrophone` is false where none was given.
export async function place(onEnd) {
  const context = new AudioContext({ sampleRate: HZ });
  await context.audioWorklet.addModule("/files/telephone_audio.js");
  const earpiece = new AudioWorkletNode(context, "earpiece", { numberOfInputs: 0, outputChannelCount: [1] });
  earpiece.connect(context.destination);
  const microphone = await microphoneOf(context).catch(() => null);
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/call`);
  socket.binaryType = "arraybuffer";
  const call = { hasMicrophone: Boolean(microphone), isMuted: false, frames: 0, heard: 0 };
  if (microphone) {
    const node = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
    microphone.source.connect(node);
    node.port.onmessage = ({ data }) => {
      if (call.isMuted || socket.readyState !== WebSocket.OPEN) return;
      call.frames += 1;
      socket.send(data);
    };
  }
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") return;
    const bytes = new Uint8Array(data);
    call.heard += bytes.length;
    earpiece.port.postMessage(bytes);
  };
  socket.onclose = () => {
    if (microphone) for (const track of microphone.stream.getTracks()) track.stop();
    context.close();
    onEnd();
  };
  call.hangUp = () => (socket.readyState === WebSocket.OPEN ? socket.send("hang up") : socket.close());
  return call;
}
