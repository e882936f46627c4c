package conformtest

// Unenforced returns what a server is known not to hold: names of checks with the reason. Run fails where one begins to hold.
func Unenforced(server string) map[string]string {
	switch server {
	case "MinIO":
		return map[string]string{}
	case "VersityGW":
		return map[string]string{}
	case "fake-gcs-server": // what it lacks beyond the list is in the tests of sinks/gcs
		return map[string]string{}
	}
	return nil
}
