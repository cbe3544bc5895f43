// A page that was opened from the disk may start no worker, so the search runs in a hidden frame.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.srcdoc = "<!doctype html>";
      this.loaded = new Promise((resolve, reject) => {
        frame.onload = () => {
          const inner = frame.contentWindow;
          // Later, as from a worker: whoever asks may not be listening yet.
          inner.postMessage = (data) =>
            setTimeout(() => this.dispatchEvent(new MessageEvent("message", { data })));
          const script = inner.document.createElement("script");
          script.src = url;
          script.onload = () => resolve(inner);
          script.onerror = reject;
          inner.document.body.appendChild(script);
        };
      });
      document.body.appendChild(frame);
    }

    postMessage(data) {
      this.loaded.then((inner) => inner.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
}
