// Text onto the clipboard, and what the button says of it for a while. A page that came over plain
// http from another machine has no clipboard; there, text selected in a field is copied.
async function copyText(text, say) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied");
  } catch {
    say(copySelected(text) ? "Copied" : "Not copied");
  }
  setTimeout(() => say("Copy"), 3000);
}

function copySelected(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.style.cssText = "position: fixed; top: 0; opacity: 0";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}
