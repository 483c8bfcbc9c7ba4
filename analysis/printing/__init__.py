"""What tables and pictures are made of before they have a format, whatever they show: no study and no estimate."""
