package signals

// NotificationQueue is the task queue on which notifications are sent for the
// playbooks of a task queue: they have workers of their own.
func NotificationQueue(taskQueue string) string { return taskQueue + "-notifications" }
