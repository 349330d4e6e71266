package signals

// NotificationQueue is the task queue of notifications: they wait for each other
// when there are many, and must not take the places of activities that contain.
func NotificationQueue(taskQueue string) string { return taskQueue + "-notifications" }
