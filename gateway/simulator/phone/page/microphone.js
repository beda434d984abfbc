// One call's sound: a socket to the simulated Twilio, the microphone into it, what is heard out of it.
const HZ = 8000;

async function microphoneOf(context) {
  const wanted = { audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } };
  const stream = await navigator.mediaDevices.getUserMedia(wanted);
  return { stream, source: context.createMediaStreamSource(stream) };
}

async function openSocket() {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/call`);
  socket.binaryType = "arraybuffer";
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("close", () => reject(new Error("refused")));
  });
  return socket;
}

function listen(context, microphone, socket, call) {
  const node = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
  microphone.source.connect(node);
  node.port.onmessage = ({ data }) => {
    if (call.isMuted || socket.readyState !== WebSocket.OPEN) return;
    call.frames += 1;
    socket.send(data);
  };
}

// Begins a call. `onEnd` is called once it is over, with the reason if that is known; `hasMicrophone` is false where none
// was given. Rejects if the call cannot be placed, as while another window is calling.
export async function place(onEnd) {
  const context = new AudioContext({ sampleRate: HZ });
  let microphone = null;
  const close = () => {
    if (microphone) for (const track of microphone.stream.getTracks()) track.stop();
    context.close();
  };
  try {
    await context.audioWorklet.addModule("/files/telephone_audio.js");
    microphone = await microphoneOf(context).catch(() => null);
    const socket = await openSocket();
    const call = { hasMicrophone: Boolean(microphone), isMuted: false, frames: 0, heard: 0, sid: null };
    const earpiece = new AudioWorkletNode(context, "earpiece", { numberOfInputs: 0, outputChannelCount: [1] });
    earpiece.connect(context.destination);
    if (microphone) listen(context, microphone, socket, call);
    let reason = "";
    socket.addEventListener("message", ({ data }) => {
      if (typeof data === "string") { reason = JSON.parse(data).ended; return; }
      const bytes = new Uint8Array(data);
      call.heard += bytes.length;
      earpiece.port.postMessage(bytes);
    });
    socket.addEventListener("close", () => { close(); onEnd(reason); });
    call.hangUp = () => (socket.readyState === WebSocket.OPEN ? socket.send("hang up") : socket.close());
    return call;
  } catch (error) {
    close();
    throw error;
  }
}
