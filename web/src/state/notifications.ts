/** Notifications of the system, which show while the page is out of sight. Only for those who have asked for them. */

const KEY = "parley.notify";

/** Whether this browser can notify and nobody has decided yet. */
export function canAskToNotify(): boolean {
  return typeof Notification !== "undefined" && (Notification.permission === "default" || (Notification.permission === "granted" && !wanted()));
}

/** Asks the browser to ask its user. To be called when the user has pressed something. */
export async function wantNotifications(): Promise<void> {
  if ((await Notification.requestPermission()) !== "granted") return;
  try {
    localStorage.setItem(KEY, "on");
  } catch {
    // Storage is blocked: there are none after a reload.
  }
}

/** Whether the user is notified while the page is out of sight. */
export function notifies(): boolean {
  return typeof Notification !== "undefined" && Notification.permission === "granted" && wanted();
}

/** Notifies, if the user wants it and does not see the page. Tabs that tell the same do so once. */
export function notify(tag: string, title: string, body: string, onOpen: () => void): void {
  if (document.visibilityState === "visible" || !notifies()) return;
  try {
    const notification = new Notification(title, { tag, body });
    notification.onclick = () => {
      window.focus();
      onOpen();
      notification.close();
    };
  } catch {
    // Some browsers of phones have the word and not the thing. The page shows the reminder all the same.
  }
}

function wanted(): boolean {
  try {
    return localStorage.getItem(KEY) === "on";
  } catch {
    return false;
  }
}
