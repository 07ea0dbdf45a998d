// The end of standard input as a wish to stop: a parent process that is gone has closed its end of the pipe.

import Dispatch
import Glibc

enum InputEnd {
    /// Calls `ended` once, from a thread of its own.
    static func watch(_ descriptor: Int32, _ ended: @escaping @Sendable () -> Void) {
        DispatchQueue(label: "varve.input").async {
            var buffer = [UInt8](repeating: 0, count: 256)
            while true {
                let count = read(descriptor, &buffer, buffer.count)
                if count > 0 || count < 0 && errno == EINTR { continue }
                ended()
                return
            }
        }
    }
}
