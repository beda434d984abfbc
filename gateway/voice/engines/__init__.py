"""What can answer a call, behind one seam."""
